import { invariant, LfpError } from "../common/errors.ts";
import type { Random } from "../common/random.ts";
import type { Triple } from "../tasks/task.ts";

/** Rows of `polarRows` for training and for testing; no row and no triple is on both sides. */
export interface Fold {
  readonly train: Int32Array;
  readonly test: Int32Array;
}

/**
 * - `triple`: one fold; triples are dealt to either side, so that the same words stand on both, as in the paper.
 * - `word`: several folds; the words are dealt into that many groups, and each group in turn is tested by a probe that saw no
 *   triple with any of its words. Every word is tested once.
 */
export type SplitKind = "triple" | "word";

export interface Split {
  readonly kind: SplitKind;
  readonly folds: readonly Fold[];
}

/** There are too few triples or words to hold some out. */
export class TooFewTriplesError extends LfpError {
  readonly code = "input";
}

/** Shuffles the triples and trains on the first floor(share n) of them. Throws `TooFewTriplesError`. */
export function splitByTriple(triples: number, trainShare: number, random: Random): Split {
  invariant(trainShare > 0 && trainShare < 1, `the share to train on lies between 0 and 1, got ${trainShare}`);
  const order = random.shuffled(Array.from({ length: triples }, (_, index) => index));
  const cut = Math.floor(trainShare * triples);
  const rowsOf = (chosen: readonly number[]): Int32Array =>
    Int32Array.from([...chosen, ...chosen.map((triple) => triple + triples)]).sort();
  const fold = { train: rowsOf(order.slice(0, cut)), test: rowsOf(order.slice(cut)) };
  requireRows(fold, `${triples} triples`);
  return { kind: "triple", folds: [fold] };
}

/**
 * Deals the words into `folds` groups, positive and negative ones evenly. A group's test rows are those of its words; its
 * training rows are those of triples in which neither word is of the group. Throws `TooFewTriplesError`.
 */
export function splitByWord(triples: readonly Triple[], folds: number, random: Random): Split {
  invariant(Number.isInteger(folds) && folds >= 2, `words are dealt into 2 folds or more, got ${folds}`);
  const groupOf = new Map<string, number>();
  for (const side of ["positive", "negative"] as const) {
    const words = random.fork(side).shuffled([...new Set(triples.map((triple) => triple[side].word))]);
    for (const [at, word] of words.entries()) groupOf.set(word, at % folds);
  }
  const groups = triples.map(({ positive, negative }) => [groupOf.get(positive.word), groupOf.get(negative.word)]);
  const foldOf = (group: number): Fold => {
    const train: number[] = [];
    const test: number[] = [];
    for (const [version, offset] of [0, triples.length].entries()) {
      for (const [triple, pair] of groups.entries()) {
        if (pair[version] === group) test.push(offset + triple);
        else if (!pair.includes(group)) train.push(offset + triple);
      }
    }
    const fold = { train: Int32Array.from(train), test: Int32Array.from(test) };
    requireRows(fold, `${groupOf.size} words in ${triples.length} triples`);
    return fold;
  };
  return { kind: "word", folds: Array.from({ length: folds }, (_, group) => foldOf(group)) };
}

function requireRows({ train, test }: Fold, of: string): void {
  if (train.length < 4 || test.length < 1)
    throw new TooFewTriplesError(
      `${of} leave ${train.length} rows to train on and ${test.length} to test; give more texts to make triples from`,
    );
}
