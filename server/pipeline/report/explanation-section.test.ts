import { expect, test } from "vitest";
import type { Explanations } from "../artifacts/explanations.ts";
import { explanationSection } from "./explanation-section.ts";

const found: Explanations = {
  explainer: "offline",
  task: "toxicity",
  features: [
    {
      id: "L1/F2",
      text: 'strongest on "harmfulword"',
      detail: { terms: ["harmfulword"], scores: [], relevance: null },
    },
  ],
  base: [],
  failed: [],
};
const source = { run: "a", stage: "explain", key: "1", seed: 1 };

test("words of harmful data are in no report where the task says so", () => {
  const shown = explanationSection(found, [], source);
  expect(JSON.stringify(shown)).toContain("harmfulword");
  const hidden = explanationSection(found, [], source, { rated: "words of chosen answers", showsTexts: false });
  expect(JSON.stringify(hidden)).not.toContain("harmfulword");
  expect(hidden.text.join(" ")).toContain("is on words of chosen answers. Each explanation");
  expect(hidden.tables.length).toBe(shown.tables.length - 1);
});
