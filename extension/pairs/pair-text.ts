/** Words about pairs of answers. Independent of VS Code. */
import { betaOf, betaWords } from "../../server/protocol/beta.ts";
import type { LensInfo } from "../../server/protocol/lens-state.ts";
import type { PairCounts, PairResult } from "../../server/protocol/pairs.ts";
import { signed } from "../overlay/scale.ts";

/** `Learned as given, chosen over rejected: margin +0.42 nats = 0.1 × (+3.10 − −1.10), beta 0.1`. */
export function pairTitle(result: PairResult, info: LensInfo): string {
  if (result.kind === "unread") return `Not read as a pair: ${result.why}`;
  const { margin, chosen, rejected, isCut } = result;
  const learned =
    margin > 0 ? "Learned as given, chosen over rejected" : "Given: chosen over rejected. Learned the other way";
  const sums = `${betaOf(info).beta} × (${signed(chosen)} − ${signed(rejected)})`;
  const cut = isCut ? "; the end of an answer was cut off" : "";
  return `${learned}: margin ${signed(margin)} nats = ${sums}, ${betaWords(info)}${cut}`;
}

/** `learned preference agrees in 83 of 100 pairs read`. */
export function countsWords({ read, agreed, unread }: PairCounts): string {
  const left = unread === 0 ? "" : `, ${unread} not read as pairs`;
  return `learned preference agrees in ${agreed} of ${read} ${read === 1 ? "pair" : "pairs"} read${left}`;
}

/** Sums of counts of different pairs. */
export function withCounts(one: PairCounts, other: PairCounts): PairCounts {
  return { read: one.read + other.read, agreed: one.agreed + other.agreed, unread: one.unread + other.unread };
}
