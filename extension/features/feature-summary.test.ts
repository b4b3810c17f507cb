import { expect, it } from "vitest";
import type { FeatureDetail } from "../../server/protocol/features.ts";
import { featureSummary } from "./feature-summary.ts";

const explanation = {
  text: "praise\n[click](command:evil)",
  explainer: "offline",
  score: { method: "detection", value: 0.81, low: 0.7, high: 0.9, windows: 40 },
  relevance: null,
} as const;

const detail: FeatureDetail = {
  row: {
    id: "L4/F43",
    layer: 4,
    feature: 43,
    explanation,
    density: 0.021,
    maxActivation: 3.25,
    probeWeight: 1.92,
    contribution: -0.61,
    attribution: null,
    twin: { id: "L4/F7@big", cosine: 0.97 },
    ablation: null,
    histogram: [3, 1],
    labels: ["odd"],
    pinned: false,
    hasNote: true,
    matches: [],
  },
  explanations: [explanation],
  examples: [
    { group: "top", examples: [{ tokens: ["so", " good", "\n!"], activations: [0, 2, 0], peak: 1, source: "a" }] },
  ],
  activeTokens: 21,
  tokens: 1000,
  promotes: [{ token: " great", logit: 1 }],
  suppresses: [],
  baseTwin: null,
  ablations: [{ what: "this", factor: 0, prompts: 256, change: -0.19, low: -0.25, high: -0.13 }],
  note: "look again",
  annotatedEarlier: false,
};

it("says everything that is known of a feature in plain lines, and leaves out what is not", () => {
  const text = featureSummary(detail, "quick");
  expect(text).toContain("L4/F43, run quick\n");
  expect(text).toContain("praise [click](command:evil) (offline; detection 0.81, 0.70 to 0.90 over 40 windows)");
  expect(text).toContain("active on 21 of 1000 tokens (2.1 %), at most 3.25");
  expect(text).toContain("probe weight 1.920, mean contribution −0.61");
  expect(text).toContain("this times 0: reward changes by -0.190 (-0.250 to -0.130) over 256 prompts");
  expect(text).toContain("strongest:\n  so [good] !");
  expect(text).toContain("note:\nlook again");
  expect(text).not.toContain("suppresses");
  expect(featureSummary({ ...detail, explanations: [] }, "quick")).toContain("not explained");
});
