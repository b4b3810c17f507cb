import { describe, expect, it } from "vitest";
import { runInfo } from "../../../test/support/lens-info.ts";
import { copyText } from "../../protocol/commands.ts";
import type { TokenDetail } from "../../protocol/lens.ts";
import { type TokenHover, tokenHover } from "./hover-text.ts";

const part = (id: string, contribution: number) => ({
  ...{ id, contribution, activation: 1, weight: contribution },
  explanation: null,
});

const detail: TokenDetail = {
  ...{ start: 0, end: 5, text: "great", tokens: [" great"], implicit: 2.42, trueReward: 3.1, familiarity: 0.4 },
  ...{ base: null, intercept: 0.12, rest: { count: 74, contribution: 0.8 } },
  contributions: [part("L2/F90", 1.3), part("L5/F30", 1.21), part("L4/F39", -1.01)],
  learned: { logRatio: 1.89, word: null, kl: 0.17 },
  fitted: null,
  trust: {
    ...{ kind: "regression", seenInTuning: 602, tau: null },
    signAccuracy: { share: 0.67, low: 0.57, high: 0.75, words: 100 },
  },
  missing: null,
};

const pairsTrust: TokenDetail["trust"] = {
  ...{ kind: "classification", lengthAccuracy: null, contrasts: 36 },
  accuracy: { share: 0.8, low: 0.7, high: 0.9 },
};

/** The hover in the mode of the implicit reward, in a run whose words are judged by `judge`. */
function hoverOf(judge: "learned" | "implicit", more: Partial<TokenDetail> = {}): TokenHover {
  return {
    detail: { ...detail, ...more },
    shown: { mode: { kind: "implicit" }, unit: "word", value: 2.42 },
    judged: judge === "learned" ? 1.89 : 2.42,
    by: { info: runInfo, mode: judge, lexicon: undefined, threshold: 0.5 },
    ...{ ablated: undefined, share: "" },
  };
}

/** What the hover's link copies as Markdown. */
function copiedBy(said: string): string {
  const [, , link = ""] = said.split("[Copy ");
  const encoded = new RegExp(`command:${copyText.id}\\?([^)]*)\\)`).exec(link)?.[1] ?? "";
  return copyText.argument.parse(JSON.parse(decodeURIComponent(encoded))[0]).text;
}

const everything = [
  "The word is familiar to the probe.",
  "Of 100 positive words that it had not seen",
  "The texts tuned on have this word 602 times.",
  "−1.01 ",
];

describe("a hover over the implicit reward", () => {
  it("that is judged by the learned reward is shorter than its copy, and its parts still sum to the number", () => {
    const said = tokenHover(hoverOf("learned"));
    expect(everything.filter((words) => said.split("[Copy value]")[0]?.includes(words))).toEqual([everything[1]]);
    // 0.8 of 74 others and 0.12 of the constant, less 1.01 of the part that is not listed.
    expect(said).toContain("**+2.42**, −0.09 of it by 75 others and the constant:");
    const copied = copiedBy(said);
    expect(everything.filter((words) => copied.includes(words))).toEqual(everything);
    expect(copied).toContain("**+2.42**, +0.92 of it by 74 others and the constant:");
  });

  it("that is judged by itself says all of it", () => {
    const said = tokenHover(hoverOf("implicit"));
    expect(everything.filter((words) => said.split("[Copy value]")[0]?.includes(words))).toEqual(everything);
  });

  it("leaves out no caveat, and what a number means before how often it is right", () => {
    const unfamiliar = tokenHover(hoverOf("learned", { familiarity: 4 }));
    expect(unfamiliar).toContain("**Unfamiliar to the probe**");
    expect(tokenHover(hoverOf("learned", { familiarity: null }))).toContain("is not known for this run");
    const ofPairs = tokenHover(hoverOf("learned", { trust: pairsTrust })).split("[Copy value]")[0] ?? "";
    expect(ofPairs).toContain("the probe tells 80 % right");
    expect(ofPairs).not.toContain("part of the log-odds");
    const unmeasured = tokenHover(hoverOf("learned", { trust: { ...pairsTrust, accuracy: null } }));
    expect(unmeasured).toContain("part of the log-odds");
  });
});
