/** Margins of held-out pairs by a model whose activations an edit may change. */
import type { AblationEdit } from "../../ablate/edit.ts";
import type { MeasuredPart } from "../../ablate/loss.ts";
import type { Device } from "../../engine/device.ts";
import type { Model } from "../../models/model.ts";
import { type PairLogProbs, PairScorer } from "../../tuning/pair-batch.ts";
import { marginOf } from "../../tuning/preference-loss.ts";
import { scoringGroups, unscored } from "../../tuning/score-pairs.ts";
import type { TokenPair } from "../../tuning/token-pair.ts";
import type { EffectMeter } from "./subject.ts";

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
  readonly batches: readonly (readonly number[])[];
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
    const { frozenStores, liveStores, activations: editActivations } = edit;
    const options = { pairs: pairsAtOnce, frozen: true, edit: { frozenStores, liveStores, editActivations } };
    const groups: Group[] = [];
    for (const { shape, batches } of scoringGroups(model, pairs, pairsAtOnce))
      groups.push({ scorer: await PairScorer.create(device, model, { ...options, shape }), batches });
    return new MarginMeter(parts, groups);
  }

  parts(): MeasuredPart[] {
    const { pairs, reference } = this.#parts;
    return this.#groups.flatMap(({ scorer, batches }) =>
      batches.map((places) => ({
        places,
        measure: async () => {
          const scores = await scorer.score(places.flatMap((at) => pairs[at] ?? []));
          return scores.map((policy, row) => {
            const own = reference[places[row] ?? -1] ?? unscored;
            return marginOf({ policy, reference: own, lengths: unscored });
          });
        },
      })),
    );
  }

  async dispose(): Promise<void> {
    for (const { scorer } of this.#groups) await scorer.dispose();
  }
}
