/** The probes of the split by word, so that each word can be read by the probe that it was held out from. */
import type { FoldResult } from "./fold-fit.ts";
import type { LinearProbe } from "./linear-probe.ts";
import type { Split } from "./splits.ts";

export interface WordFolds {
  /** One probe a fold, fitted without the fold's words. */
  readonly probes: readonly Pick<LinearProbe, "weights" | "intercept" | "outputScale">[];
  /** The fold of every target word, in lower case. */
  readonly foldOf: ReadonlyMap<string, number>;
}

export function wordFoldsOf(split: Split, words: readonly string[], fits: readonly FoldResult[]): WordFolds {
  return {
    probes: fits.map(({ weights, intercept, outputScale }) => ({
      weights: Float32Array.from(weights),
      intercept,
      outputScale,
    })),
    foldOf: new Map(split.folds.flatMap(({ test }, fold) => Array.from(test, (row) => [words[row] ?? "", fold]))),
  };
}
