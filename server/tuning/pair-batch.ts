/** Log-probabilities of pairs of answers by a model. Letters: P pairs; see pair-rows.ts for the others. */
import type { Device, Program, StateStore } from "../engine/device.ts";
import type { Node } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { type ForwardOptions, forward, logitsOf, type Model, storesOf } from "../models/model.ts";
import type { OfPairs } from "./dpo-loss.ts";
import { type PairInputOptions, pairInputs } from "./pair-rows.ts";
import type { RowShape } from "./row-shapes.ts";
import type { TokenPair } from "./token-pair.ts";

/** Summed log-probabilities of a pair's answers, in nats. */
export interface PairLogProbs {
  readonly chosen: number;
  readonly rejected: number;
}

/** log p, summed over each answer's tokens, [P] each. Only the states that predict a scored token go through the head. */
export function pairLogProbs(
  model: Pick<Model, "config" | "weights">,
  P: number,
  { tokens: R, rowPlaces: T, scoredPlaces: S, textPlaces }: RowShape,
  edit: Pick<ForwardOptions, "editActivations"> = {},
): OfPairs {
  const { hidden } = forward(model, { shape: [1, R], packed: { rows: [P, T], longest: textPlaces }, ...edit });
  const given = (name: string): Node => ops.input(name, [S], "i32");
  const states = ops.embedding(ops.reshape(hidden, [R, -1]), given("states"));
  const logProbs = ops.gatherLogProbs(logitsOf(model, states), given("targets"));
  const masked = ops.mul(logProbs, ops.input("mask", [S]));
  const sums = ops.scatterAddRows(ops.fill([2 * P, 1], 0), given("answers"), ops.reshape(masked, [S, 1]));
  return halves(ops.reshape(sums, [2 * P]), P);
}

/** [2 P] -> the first half and the second. */
export function halves(values: Node, pairs: number): OfPairs {
  return { chosen: ops.slice(values, 0, 0, pairs), rejected: ops.slice(values, 0, pairs, 2 * pairs) };
}

/** A change of a model's activations, with the stores that it reads. */
export interface ModelEdit extends Required<Pick<ForwardOptions, "editActivations">> {
  readonly frozenStores: readonly StateStore[];
  /** Stores that change between runs. */
  readonly liveStores: readonly StateStore[];
}

export interface PairScorerOptions {
  /** P: most pairs of a run. */
  readonly pairs: number;
  readonly shape: RowShape;
  /** A frozen scorer is faster, but the model's weights must not change during its life. */
  readonly frozen: boolean;
  readonly edit?: ModelEdit;
}

/** A compiled forward pass over pairs. */
export class PairScorer {
  readonly #program: Program;
  readonly #layout: PairInputOptions;

  private constructor(program: Program, layout: PairInputOptions) {
    this.#program = program;
    this.#layout = layout;
  }

  static async create(
    device: Device,
    model: Model,
    { pairs, shape, frozen, edit }: PairScorerOptions,
  ): Promise<PairScorer> {
    const outputs = { ...pairLogProbs(model, pairs, shape, edit && { editActivations: edit.editActivations }) };
    const own = [...storesOf(model), ...(edit?.frozenStores ?? [])];
    const stores = [...own, ...(edit?.liveStores ?? [])];
    const program = await device.compile({ stores, outputs, frozen: frozen ? own : [] });
    return new PairScorer(program, { ...shape, pairs, localWindow: model.config.localWindow });
  }

  /** Scores at most as many pairs as the program takes. */
  async score(pairs: readonly TokenPair[]): Promise<PairLogProbs[]> {
    const { lengths: _, ...inputs } = pairInputs(pairs, this.#layout);
    const { chosen = [], rejected = [] } = await this.#program.run(inputs);
    return pairs.map((_pair, at) => ({ chosen: chosen[at] ?? Number.NaN, rejected: rejected[at] ?? Number.NaN }));
  }

  async dispose(): Promise<void> {
    await this.#program.dispose();
  }
}
