import { describe, expect, it } from "vitest";
import { fakeDetail, fakeRows } from "../../test/webviews/fake-features.ts";
import { featuresAsCsv } from "../pages/features-csv.ts";
import { promptsOf } from "./feature-actions.ts";
import { contributionText, featureSentence, foundIn, spendText } from "./feature-text.ts";

const rows = fakeRows(4);
const [row] = rows;
if (row === undefined) throw new Error("there are four rows");

describe("a feature in few words", () => {
  it.each([
    [0.614, "+0.61"],
    [-0.004, "0.00"],
    [-0.52, "−0.52"],
    [null, ""],
  ])("contributes %s: %s", (contribution, text) => {
    expect(contributionText({ ...row, contribution })).toBe(text);
  });

  it("says where a search found it, unless its text shows that", () => {
    expect(foundIn({ ...row, matches: ["examples"] })).toBe("found in its examples");
    expect(foundIn({ ...row, matches: ["explanation", "examples"] })).toBe("");
    expect(foundIn({ ...row, matches: [] })).toBe("");
  });

  it("is read out with all that its row shows", () => {
    const sentence = featureSentence({
      ...row,
      id: "L4/F43",
      contribution: 0.61,
      probeWeight: 1.92,
      density: 0.021,
      pinned: true,
      labels: ["keep"],
    });
    expect(sentence).toBe(
      "L4/F43: [keep] praise after a copula (“is”, “was”), mean contribution +0.61, probe weight 1.92, active on 2.1 % of tokens, explanation scored 0.75, pinned",
    );
  });

  it("is continued from where it fires, each beginning once", () => {
    const detail = fakeDetail(row);
    const doubled = {
      ...detail,
      examples: detail.examples.map((group) => ({ ...group, examples: [...group.examples, ...group.examples] })),
    };
    expect(promptsOf(doubled)).toEqual(["the whole cast is wonderful", "I thought it was brilliant,"]);
    expect(promptsOf({ ...detail, examples: [] })).toEqual([]);
  });
});

describe("what explaining will cost", () => {
  const preview = {
    features: 50,
    cached: 12,
    requests: 76,
    inputTokens: 120_000,
    outputTokens: 8000,
    costUsd: 0.417,
    origin: "https://api.openai.com",
  };

  it("is said with where text goes and where it stops", () => {
    expect(spendText(preview, 1)).toBe(
      "50 features are to be explained; 12 more are explained already and left as they are.\n76 requests to https://api.openai.com: about 120000 tokens are sent and 8000 come back, about $0.42.\nIt stops by itself at $1.00; what is explained by then stays.",
    );
    expect(spendText({ ...preview, features: 1, cached: 0 }, 1)).toMatch(/^1 feature is to be explained\.\n/);
    expect(spendText({ ...preview, costUsd: null }, 1)).toContain("at a price that is not known here");
  });
});

describe("features as CSV", () => {
  it("has a line a feature and quotes what needs it", () => {
    const hostile = {
      ...row,
      explanation: { text: '=HYPERLINK("http://e")\nx', explainer: "offline", score: null, relevance: null },
    };
    const [head = "", first = "", second = ""] = featuresAsCsv([hostile, rows[1] ?? row]).split("\r\n");
    expect(head.split(",").slice(0, 5)).toEqual(["id", "layer", "feature", "explanation", "explainer"]);
    expect(first).toContain(`L0/F0,0,0,"'=HYPERLINK(""http://e"")\nx",offline,,,,,,`);
    expect(second).toMatch(/^L1\/F0,1,0,criticism or negative sentiment,gpt-4\.1,0\.8/);
  });
});
