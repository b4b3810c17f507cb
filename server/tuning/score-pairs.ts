import type { Device } from "../engine/device.ts";
import type { Model } from "../models/model.ts";
import { type PairLogProbs, PairScorer } from "./pair-batch.ts";
import { needsOf } from "./pair-rows.ts";
import { batchNeeds, type RowShape, rowCostOf, rowShapesFor, smallestRowShape } from "./row-shapes.ts";
import type { TokenPair } from "./token-pair.ts";

/** Batches of pairs that one program reads. */
export interface ScoringGroup {
  readonly shape: RowShape;
  /** Indices of pairs. */
  readonly batches: readonly (readonly number[])[];
}

/** Batches of pairs of similar length, by the shape that they are read in; the same for the same pairs. */
export function scoringGroups(
  { config }: Pick<Model, "config">,
  pairs: readonly TokenPair[],
  pairsAtOnce: number,
): ScoringGroup[] {
  const needs = pairs.map(needsOf);
  const order = [...pairs.keys()].sort((a, b) => (needs[a]?.rowPlaces ?? 0) - (needs[b]?.rowPlaces ?? 0));
  const batches = Array.from({ length: Math.ceil(order.length / pairsAtOnce) }, (_, at) =>
    order.slice(at * pairsAtOnce, (at + 1) * pairsAtOnce),
  );
  const needsOfBatch = (batch: readonly number[]): RowShape => batchNeeds(batch.flatMap((at) => needs[at] ?? []));
  const shapes = rowShapesFor(batches.map(needsOfBatch), rowCostOf(config, pairsAtOnce), mostShapes);
  const groups = Map.groupBy(batches, (batch) => smallestRowShape(shapes, needsOfBatch(batch)));
  return [...groups].map(([shape, own]) => ({ shape, batches: own }));
}

/** Programs that a list of pairs is scored with. */
const mostShapes = 4;

export interface ScorePairsOptions {
  /** Pairs on the device at once. */
  readonly pairsAtOnce: number;
  /** See `PairScorerOptions`. */
  readonly frozen?: boolean;
  /** Results of an interrupted call with the same pairs, by index. */
  readonly known?: ReadonlyMap<number, PairLogProbs>;
  /** Callback awaited after every batch with all results so far; it throws to stop. */
  readonly onBatch?: (found: ReadonlyMap<number, PairLogProbs>) => Promise<void>;
}

/**
 * Summed log-probabilities of each pair's answers by a model, in the order of the pairs. Pairs of similar length share a
 * batch; a resumed call makes the same batches. Throws `ContextLengthError` and what compiling throws.
 */
export async function scorePairs(
  device: Device,
  model: Model,
  pairs: readonly TokenPair[],
  { pairsAtOnce, frozen = true, known = new Map(), onBatch }: ScorePairsOptions,
): Promise<PairLogProbs[]> {
  const found = new Map(known);
  for (const { shape, batches } of scoringGroups(model, pairs, pairsAtOnce)) {
    const missing = batches.filter((batch) => batch.some((index) => !found.has(index)));
    if (missing.length === 0) continue;
    const scorer = await PairScorer.create(device, model, { shape, pairs: pairsAtOnce, frozen });
    try {
      for (const batch of missing) {
        const scores = await scorer.score(batch.flatMap((index) => pairs[index] ?? []));
        for (const [at, index] of batch.entries()) found.set(index, scores[at] ?? unscored);
        await onBatch?.(found);
      }
    } finally {
      await scorer.dispose();
    }
  }
  return pairs.map((_, index) => found.get(index) ?? unscored);
}

/** The log-probabilities of a pair that was not read. */
export const unscored: PairLogProbs = { chosen: Number.NaN, rejected: Number.NaN };
