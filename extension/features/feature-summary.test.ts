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
  expect(text).toContain("this times 0: reward changes by −0.190 (−0.250 to −0.130) over 256 prompts");
  expect(text).toContain("strongest:\n  so [good] !");
  expect(text).toContain("note:\nlook again");
  expect(text).not.toContain("suppresses");
  expect(featureSummary({ ...detail, explanations: [] }, "quick")).toContain("not explained");
});

it("writes every number below zero with the same sign, and no space before the peak is lost", () => {
  const { row } = detail;
  const below = { ...row, probeWeight: -1.142, twin: { id: "L4/F7@big", cosine: -0.5 } } as const;
  const peaks = [
    { tokens: ["The", " L", "inda"], activations: [0, 2, 0], peak: 1, source: "a" },
    { tokens: [" It", " is", " an", " excellent"], activations: [0, 0, 3, 0], peak: 2, source: "b" },
    { tokens: ["un", "fun", "ny"], activations: [0, 1, 0], peak: 1, source: "c" },
  ];
  const text = featureSummary({ ...detail, row: below, examples: [{ group: "top", examples: peaks }] }, "quick");
  expect(text).toContain("probe weight −1.142, mean contribution −0.61");
  expect(text).toContain("cosine −0.50");
  expect(text).not.toMatch(/-\d/);
  expect(text).toContain("  The [L]inda\n  It is [an] excellent\n  un[fun]ny\n");
});
