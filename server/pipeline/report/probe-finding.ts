/** The probe's finding in one sentence. */
import type { PairedDifference, RegressionReport, SplitReport } from "../../probe/report-types.ts";
import { showCell, showPercent } from "./document.ts";

/**
 * One line for the top of the report: first the probe's result on held-out words, then its gain over the base model.
 */
export function probeFinding({ byTriple, byWord }: RegressionReport): string {
  const signs = ({ probe }: SplitReport): string =>
    `${showPercent(probe.signAccuracy.positive.share)} and ${showPercent(probe.signAccuracy.negative.share)}`;
  const { tau, interval, p } = byWord.probe.kendall;
  return (
    `The probe orders words that it has never seen with Kendall's tau-b ${showCell(tau)} (95 % interval ${showCell(interval.low)} to ${showCell(interval.high)}, p ${showCell(byWord.refitted?.p ?? p)}); ` +
    `${baseCompared(byWord)}` +
    `It has the sign of unseen positive and negative words right for ${signs(byWord)}. ` +
    `(Of words that it remembers from other sentences: ${signs(byTriple)}, and random signs of words are remembered for ${showPercent(byTriple.wordMemory.signAccuracy.mean)}.)`
  );
}

/** Whether the tuned model's features predict new words better than the base model's. */
function baseCompared({ differences, staticEmbedding }: SplitReport): string {
  const { baseModel = null } = differences ?? {};
  if (baseModel === null) return "";
  const beside =
    staticEmbedding === null
      ? ""
      : ` (its token embeddings alone, without any context: ${showCell(staticEmbedding.kendall.tau)})`;
  return `${comparedInWords(baseModel, "the same on the base model's features")}${beside}. `;
}

/** A difference of tau-b in words: ours minus theirs, and what it shows. */
export function comparedInWords({ difference, interval: { low, high } }: PairedDifference, theirs: string): string {
  if (difference === null || low === null || high === null) return `the difference to ${theirs} is not defined`;
  const said =
    low > 0
      ? "more than there"
      : high < 0
        ? "less than there"
        : "so it is not shown that more is read than the base model knew before tuning";
  return `less ${theirs} ${showCell(difference)} (${showCell(low)} to ${showCell(high)}, word by word), ${said}`;
}

export function share(value: number | null): number | null {
  return value === null ? null : 100 * value;
}
