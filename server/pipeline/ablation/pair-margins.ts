/** Margins of held-out pairs by a model whose MLP outputs an edit may change. */
import type { AblationEdit } from "../../ablate/edit.ts";
import type { Device } from "../../engine/device.ts";
import type { Model } from "../../models/model.ts";
import { type PairLogProbs, PairScorer, type TokenPair } from "../../tuning/pair-batch.ts";
import { shapesFor, smallestShape } from "../../tuning/pair-shapes.ts";
import { marginOf } from "../../tuning/preference-loss.ts";
import type { EffectMeter, EffectOptions } from "./subject.ts";

/** What margins are measured with. */
export interface MarginParts {
  readonly device: Device;
  readonly pairs: readonly TokenPair[];
  /** Log-probabilities of the pairs' answers by the unchanged base model. */
  readonly reference: readonly PairLogProbs[];
  readonly pairsAtOnce: number;
}

/** Pairs of similar length, with the program that scores them. */
interface Group {
  readonly scorer: PairScorer;
  readonly indices: readonly number[];
}

/**
 * Measures log-ratio margins in nats, one a pair, with programs that are compiled once: the edit changes between their
 * runs. Nothing is sampled, so seed and completion do not matter.
 */
export class MarginMeter implements EffectMeter {
  readonly #parts: MarginParts;
  readonly #groups: readonly Group[];

  private constructor(parts: MarginParts, groups: readonly Group[]) {
    this.#parts = parts;
    this.#groups = groups;
  }

  static async create(parts: MarginParts, model: Model, edit: AblationEdit): Promise<MarginMeter> {
    const { device, pairs, pairsAtOnce } = parts;
    const { frozenStores, liveStores, mlpOutput } = edit;
    const shapes = shapesFor(pairs);
    const byShape = Map.groupBy(pairs.keys(), (at) => {
      const pair = pairs[at];
      return smallestShape(shapes, pair === undefined ? [] : [pair]);
    });
    const groups: Group[] = [];
    for (const [shape, indices] of byShape) {
      const options = {
        ...shape,
        pairs: pairsAtOnce,
        frozen: true,
        edit: { frozenStores, liveStores, editMlpOutput: mlpOutput },
      };
      groups.push({ scorer: await PairScorer.create(device, model, options), indices });
    }
    return new MarginMeter(parts, groups);
  }

  async values({ unit, signal }: EffectOptions): Promise<number[]> {
    const { pairs, reference, pairsAtOnce } = this.#parts;
    const margins = new Array<number>(pairs.length).fill(0);
    for (const { scorer, indices } of this.#groups) {
      for (let start = 0; start < indices.length; start += pairsAtOnce) {
        signal?.throwIfAborted();
        const batch = indices.slice(start, start + pairsAtOnce);
        const found = await unit(async () => {
          const scores = await scorer.score(batch.flatMap((at) => pairs[at] ?? []));
          return scores.map((policy, row) => {
            const own = reference[batch[row] ?? -1] ?? missing;
            return marginOf({ policy, reference: own, lengths: missing });
          });
        });
        for (const [row, at] of batch.entries()) margins[at] = found[row] ?? Number.NaN;
      }
    }
    return margins;
  }

  async dispose(): Promise<void> {
    for (const { scorer } of this.#groups) await scorer.dispose();
  }
}

const missing = { chosen: Number.NaN, rejected: Number.NaN };
