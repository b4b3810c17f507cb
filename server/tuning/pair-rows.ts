/**
 * Pairs of answers as model inputs of one static shape. A pair is one row: the chosen text, then the rejected one without
 * the tokens that both begin with, which are read once. The last token of a text is only predicted. The model reads all
 * rows' tokens without padding between them.
 *
 * Letters: P pairs and rows, R tokens of all rows, T places of a row, S scored tokens of all rows.
 */
import { invariant } from "../common/errors.ts";
import type { Values } from "../engine/graph.ts";
import { hiddenKeyBias } from "../models/architecture.ts";
import type { RowShape } from "./row-shapes.ts";
import type { TokenizedAnswer, TokenPair } from "./token-pair.ts";

/** A token whose log-probability counts, and the place of its row whose state predicts it. */
interface ScoredToken {
  readonly place: number;
  readonly target: number;
}

interface PairRow {
  readonly ids: Int32Array;
  readonly positions: Int32Array;
  /** Places of the chosen text; those of the rejected one follow. */
  readonly chosenPlaces: number;
  /** Tokens that both texts begin with. */
  readonly sharedPlaces: number;
  readonly chosen: readonly ScoredToken[];
  readonly rejected: readonly ScoredToken[];
}

/** What a pair needs of a shape. */
export function needsOf(pair: TokenPair): RowShape {
  const [chosen, rejected] = [readOf(pair.chosen), readOf(pair.rejected)];
  const tokens = chosen.length + rejected.length - sharedLength(chosen, rejected);
  return {
    tokens,
    rowPlaces: tokens,
    scoredPlaces: [pair.chosen, pair.rejected].reduce(
      (sum, { prompt, answer }) => sum + answer.length - Number(prompt.length === 0),
      0,
    ),
    textPlaces: Math.max(chosen.length, rejected.length),
  };
}

export interface PairInputOptions extends RowShape {
  /** P: at least as many as are given; rows without a pair have no scored tokens. */
  readonly pairs: number;
  /** Of the model's layers with a local window; undefined where it has none. */
  readonly localWindow: number | undefined;
}

/** Inputs for a program of `pairLogProbs`, with `lengths` of the answers [2 P]. Pairs that do not fit are a defect of the caller. */
export function pairInputs(given: readonly TokenPair[], options: PairInputOptions): Record<string, Values> {
  const { pairs: P, localWindow } = options;
  const rows = given.map(rowOf);
  invariant(rows.length <= P, `${rows.length} pairs in a batch of ${P}`);
  const lengths = new Float32Array(2 * P).fill(1);
  for (const [at, { chosen, rejected }] of given.entries()) {
    lengths[at] = chosen.answer.length;
    lengths[P + at] = rejected.answer.length;
  }
  return {
    ...tokenInputs(rows, options),
    textBias: textBias(rows, options, Number.POSITIVE_INFINITY),
    ...(localWindow === undefined ? {} : { localTextBias: textBias(rows, options, localWindow) }),
    ...scoredInputs(rows, options),
    lengths,
  };
}

/** The rows' tokens one after the other, [R], and where each is in its row: see `PackedTexts`. */
function tokenInputs(
  rows: readonly PairRow[],
  { pairs: P, tokens: R, rowPlaces: T }: PairInputOptions,
): Record<string, Values> {
  const ids = new Int32Array(R);
  const positions = new Int32Array(R);
  const placeTokens = new Int32Array(P * T);
  const tokenPlaces = new Int32Array(R);
  let start = 0;
  for (const [at, row] of rows.entries()) {
    const { length } = row.ids;
    invariant(length <= T, `a pair of ${length} places in a row of ${T}`);
    invariant(start + length <= R, `more than ${R} tokens in a batch of ${R}`);
    ids.set(row.ids, start);
    positions.set(row.positions, start);
    for (let place = 0; place < length; place++) {
      placeTokens[at * T + place] = start + place;
      tokenPlaces[start + place] = at * T + place;
    }
    start += length;
  }
  return { ids, positions, placeTokens, tokenPlaces };
}

/** Tokens whose states predict, their targets, their answers (chosen before rejected), and 1 where one is scored: [S] each. */
function scoredInputs(
  rows: readonly PairRow[],
  { pairs: P, scoredPlaces: S }: PairInputOptions,
): Record<string, Values> {
  const states = new Int32Array(S);
  const targets = new Int32Array(S);
  const answers = new Int32Array(S);
  const mask = new Float32Array(S);
  let [count, start] = [0, 0];
  for (const [at, row] of rows.entries()) {
    for (const [answer, tokens] of [row.chosen, row.rejected].entries()) {
      invariant(count + tokens.length <= S, `more than ${S} scored tokens in a batch of ${S}`);
      for (const { place, target } of tokens) {
        states[count] = start + place;
        targets[count] = target;
        answers[count] = answer * P + at;
        mask[count] = 1;
        count++;
      }
    }
    start += row.ids.length;
  }
  return { states, targets, answers, mask };
}

/** Which tokens see which, [P, 1, T, T]: those before them in their own text, within the window; padding sees itself only. */
function textBias(
  rows: readonly PairRow[],
  { pairs: P, rowPlaces: T }: Pick<PairInputOptions, "pairs" | "rowPlaces">,
  window: number,
): Float32Array {
  const bias = new Float32Array(P * T * T).fill(hiddenKeyBias);
  for (let at = 0; at < P; at++) {
    const { ids, chosenPlaces: A, sharedPlaces } = rows[at] ?? emptyRow;
    for (let query = 0; query < T; query++) {
      const start = (at * T + query) * T;
      const see = (from: number, to: number): void => {
        if (from < to) bias.fill(0, start + from, start + to);
      };
      if (query >= ids.length) see(query, query + 1);
      else if (query < A) see(Math.max(0, query + 1 - window), query + 1);
      else {
        see(Math.max(0, sharedPlaces + query - A + 1 - window), sharedPlaces);
        see(Math.max(A, query + 1 - window), query + 1);
      }
    }
  }
  return bias;
}

const emptyRow = { ids: new Int32Array(), chosenPlaces: 0, sharedPlaces: 0 };

function rowOf(pair: TokenPair): PairRow {
  const [chosen, rejected] = [readOf(pair.chosen), readOf(pair.rejected)];
  const shared = sharedLength(chosen, rejected);
  const own = rejected.subarray(shared);
  const A = chosen.length;
  return {
    ids: Int32Array.from([...chosen, ...own]),
    positions: Int32Array.from([...chosen.keys(), ...Array.from(own, (_, at) => shared + at)]),
    chosenPlaces: A,
    sharedPlaces: shared,
    chosen: scoredOf(pair.chosen, (at) => at),
    rejected: scoredOf(pair.rejected, (at) => (at < shared ? at : A + at - shared)),
  };
}

/** Without a prompt nothing predicts an answer's first token, which is not scored. */
function scoredOf({ prompt, answer }: TokenizedAnswer, placeOf: (at: number) => number): ScoredToken[] {
  return [...answer.entries()]
    .map(([at, target]) => ({ at: prompt.length + at - 1, target }))
    .filter(({ at }) => at >= 0)
    .map(({ at, target }) => ({ place: placeOf(at), target }));
}

/** The tokens that a model reads: all but the last. */
function readOf({ prompt, answer }: TokenizedAnswer): Int32Array {
  return Int32Array.from([...prompt, ...answer]).subarray(0, -1);
}

function sharedLength(a: Int32Array, b: Int32Array): number {
  const differs = a.findIndex((id, at) => id !== b[at]);
  return differs < 0 ? a.length : differs;
}
