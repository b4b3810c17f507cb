import type { Device } from "../engine/device.ts";
import type { Model } from "../models/model.ts";
import { type PairLogProbs, PairScorer, type TokenPair } from "./pair-batch.ts";
import { shapesFor, smallestShape } from "./pair-shapes.ts";

export interface ScorePairsOptions {
  /** Pairs on the device at once. */
  readonly pairsAtOnce: number;
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
  { pairsAtOnce, known = new Map(), onBatch }: ScorePairsOptions,
): Promise<PairLogProbs[]> {
  const found = new Map(known);
  const shapes = shapesFor(pairs);
  for (const [shape, own] of Map.groupBy(pairs.entries(), ([, pair]) => smallestShape(shapes, [pair]))) {
    const batches = Array.from({ length: Math.ceil(own.length / pairsAtOnce) }, (_, at) =>
      own.slice(at * pairsAtOnce, (at + 1) * pairsAtOnce),
    ).filter((batch) => batch.some(([index]) => !found.has(index)));
    if (batches.length === 0) continue;
    const scorer = await PairScorer.create(device, model, { ...shape, pairs: pairsAtOnce, frozen: true });
    try {
      for (const batch of batches) {
        const scores = await scorer.score(batch.map(([, pair]) => pair));
        for (const [at, [index]] of batch.entries()) found.set(index, scores[at] ?? missing);
        await onBatch?.(found);
      }
    } finally {
      await scorer.dispose();
    }
  }
  return pairs.map((_, index) => found.get(index) ?? missing);
}

const missing: PairLogProbs = { chosen: Number.NaN, rejected: Number.NaN };
