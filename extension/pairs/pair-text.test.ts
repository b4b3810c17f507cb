import { describe, expect, it } from "vitest";
import { pairInfo, runInfo } from "../../test/support/lens-info.ts";
import { countsWords, pairTitle, withCounts } from "./pair-text.ts";

const read = { kind: "read", chosen: 3.1, rejected: -1.1, margin: 0.42, isCut: false } as const;

describe("the line above a pair", () => {
  it("says what was given and learned, how the margin comes about, and which beta it is", () => {
    expect(pairTitle(read, { ...runInfo, beta: 0.1 })).toBe(
      "Learned as given, chosen over rejected: margin +0.42 nats = 0.1 × (+3.10 − −1.10), beta 0.1",
    );
    expect(pairTitle({ ...read, chosen: -1, rejected: 2, margin: -3, isCut: true }, pairInfo)).toBe(
      "Given: chosen over rejected. Learned the other way: margin −3.00 nats = 1 × (−1.00 − +2.00), beta 1, as none is known; the end of an answer was cut off",
    );
    expect(pairTitle({ kind: "unread", why: "both answers are the same" }, pairInfo)).toBe(
      "Not read as a pair: both answers are the same",
    );
  });
});

describe("the counts of pairs", () => {
  it("say in how many of those that were read the learned preference agrees", () => {
    const one = { read: 1, agreed: 1, unread: 0 };
    expect(countsWords(one)).toBe("learned preference agrees in 1 of 1 pair read");
    expect(countsWords(withCounts(one, { read: 99, agreed: 82, unread: 2 }))).toBe(
      "learned preference agrees in 83 of 100 pairs read, 2 not read as pairs",
    );
  });
});
