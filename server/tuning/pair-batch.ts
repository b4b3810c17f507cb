/**
 * Pairs of answers as model inputs of one static shape. Letters: P pairs, so that there are 2 P rows, chosen answers before rejected ones; see
 * completion-batch.ts for the others.
 */
import type { Device, Program, StateStore } from "../engine/device.ts";
import type { Node, Values } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { type ForwardOptions, logitsOf, type Model, storesOf } from "../models/model.ts";
import { type BatchShape, type Episode, layOut, modelInputs } from "./completion-batch.ts";
import { completionStates } from "./completion-scorer.ts";
import type { OfPairs } from "./dpo-loss.ts";

/** A prompt and an answer to it as token ids: at least two in all, at least one of them in the answer. */
export interface TokenizedAnswer {
  readonly prompt: Int32Array;
  readonly answer: Int32Array;
}

/** Two answers to one prompt. The prompt's ids may differ between them if tokens merge across its end. */
export interface TokenPair {
  readonly chosen: TokenizedAnswer;
  readonly rejected: TokenizedAnswer;
}

/** Summed log-probabilities of a pair's answers, in nats. */
export interface PairLogProbs {
  readonly chosen: number;
  readonly rejected: number;
}

/** The numbers of places that these pairs need. */
export function placesOf(pairs: readonly TokenPair[]): BatchShape {
  const episodes = pairs.flatMap(episodesOf);
  const most = (key: keyof Episode): number => episodes.reduce((found, row) => Math.max(found, row[key].length), 1);
  return { promptPlaces: most("prompt"), completionPlaces: most("completion") };
}

/** Inputs for a program of `pairLogProbs`, with `lengths` [2 P]. */
export function pairInputs(pairs: readonly TokenPair[], shape: BatchShape): Record<string, Values> {
  const rows = pairs.map(episodesOf);
  const batch = layOut([...rows.map(([chosen]) => chosen), ...rows.map(([, rejected]) => rejected)], shape);
  const lengths = [
    ...pairs.map(({ chosen }) => chosen.answer.length),
    ...pairs.map(({ rejected }) => rejected.answer.length),
  ];
  return { ...modelInputs(batch), mask: batch.mask, lengths: Float32Array.from(lengths) };
}

/** log p, summed over each answer's tokens, [P] each. */
export function pairLogProbs(
  model: Pick<Model, "config" | "weights">,
  pairs: number,
  shape: BatchShape,
  edit: Pick<ForwardOptions, "editMlpOutput"> = {},
): OfPairs {
  const N = shape.completionPlaces;
  const rows = 2 * pairs;
  const logits = logitsOf(model, completionStates(model, rows, shape, edit));
  const logProbs = ops.gatherLogProbs(logits, ops.input("targets", [rows * N], "i32"));
  const masked = ops.mul(logProbs, ops.input("mask", [rows * N]));
  return halves(ops.sum(ops.reshape(masked, [rows, N]), { axes: [1] }), pairs);
}

/** [2 P] -> the first half and the second. */
export function halves(values: Node, pairs: number): OfPairs {
  return { chosen: ops.slice(values, 0, 0, pairs), rejected: ops.slice(values, 0, pairs, 2 * pairs) };
}

/** A change of a model's MLP outputs, with the stores that it reads. */
export interface ModelEdit extends Required<Pick<ForwardOptions, "editMlpOutput">> {
  readonly frozenStores: readonly StateStore[];
  /** Stores that change between runs. */
  readonly liveStores: readonly StateStore[];
}

export interface PairScorerOptions extends BatchShape {
  readonly pairs: number;
  /** A frozen scorer is faster, but the model's weights must not change during its life. */
  readonly frozen: boolean;
  readonly edit?: ModelEdit;
}

/** A compiled forward pass over pairs. */
export class PairScorer {
  readonly #program: Program;
  readonly #pairs: number;
  readonly #shape: BatchShape;

  private constructor(program: Program, pairs: number, shape: BatchShape) {
    this.#program = program;
    this.#pairs = pairs;
    this.#shape = shape;
  }

  static async create(
    device: Device,
    model: Model,
    { pairs, frozen, edit, ...shape }: PairScorerOptions,
  ): Promise<PairScorer> {
    const outputs = { ...pairLogProbs(model, pairs, shape, edit && { editMlpOutput: edit.editMlpOutput }) };
    const own = [...storesOf(model), ...(edit?.frozenStores ?? [])];
    const stores = [...own, ...(edit?.liveStores ?? [])];
    return new PairScorer(await device.compile({ stores, outputs, frozen: frozen ? own : [] }), pairs, shape);
  }

  /** Scores at least one pair, and at most as many as the program takes. */
  async score(pairs: readonly TokenPair[]): Promise<PairLogProbs[]> {
    // Repeats the last pair to fill the batch.
    const padded = Array.from({ length: this.#pairs }, (_, at) => pairs[Math.min(at, pairs.length - 1)]);
    const { lengths: _, ...inputs } = pairInputs(
      padded.filter((pair) => pair !== undefined),
      this.#shape,
    );
    const { chosen = [], rejected = [] } = await this.#program.run(inputs);
    return pairs.map((_pair, at) => ({ chosen: chosen[at] ?? Number.NaN, rejected: rejected[at] ?? Number.NaN }));
  }

  async dispose(): Promise<void> {
    await this.#program.dispose();
  }
}

/** The chosen answer and the rejected one as rows of a batch. */
export function episodesOf({ chosen, rejected }: TokenPair): [chosen: Episode, rejected: Episode] {
  return [episodeOf(chosen), episodeOf(rejected)];
}

/** Without a prompt nothing predicts an answer's first token: it becomes the prompt and is not scored. */
function episodeOf({ prompt, answer }: TokenizedAnswer): Episode {
  return prompt.length > 0
    ? { prompt, completion: answer }
    : { prompt: answer.subarray(0, 1), completion: answer.subarray(1) };
}
