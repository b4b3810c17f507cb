/**
 * Scores given completions: log-probability per token, optionally value and entropy. Letters: see
 * completion-batch.ts; R rows scored at once, V vocabulary.
 */
import { invariant } from "../common/errors.ts";
import type { Device, Program } from "../engine/device.ts";
import type { Node, Values } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { type ForwardOptions, forward, logitsOf, type Model, storesOf } from "../models/model.ts";
import type { ValueHead } from "../models/value-head.ts";
import { type BatchShape, type CompletionBatch, modelInputs, rowsOf } from "./completion-batch.ts";
import { entropyOf } from "./ppo-loss.ts";

export interface ScorerOptions extends BatchShape {
  /** R: number of completions whose head product and softmax are in memory at once. */
  readonly rowsAtOnce: number;
  readonly temperature: number;
  /** Promises that the weights do not change during the scorer's life, which makes it faster. */
  readonly frozen: boolean;
}

/** Scores for every place of every completion, [B, N]; those at places without a token are meaningless. */
export interface CompletionScores {
  /** Log-probabilities of the tokens, at the requested temperature. */
  readonly logProbs: Float32Array;
}

/** Scores by a policy, which has values and entropies as well. */
export interface PolicyScores extends CompletionScores {
  /** Values of the states in which the tokens were sampled. */
  readonly values: Float32Array;
  /** Entropies of the distributions that the tokens were sampled from, in nats. */
  readonly entropies: Float32Array;
}

/** A compiled forward pass over completions. */
export class CompletionScorer<Scores extends CompletionScores = CompletionScores> {
  readonly #program: Program;
  readonly #rowsAtOnce: number;
  readonly #scoresOf: (read: (name: keyof PolicyScores) => Float32Array) => Scores;

  private constructor(
    program: Program,
    rowsAtOnce: number,
    scoresOf: (read: (name: keyof PolicyScores) => Float32Array) => Scores,
  ) {
    this.#program = program;
    this.#rowsAtOnce = rowsAtOnce;
    this.#scoresOf = scoresOf;
  }

  static async create(device: Device, model: Model, options: ScorerOptions): Promise<CompletionScorer> {
    const { logProbs } = scoreNodes(model, options);
    const stores = storesOf(model);
    const frozen = options.frozen ? stores : [];
    const program = await device.compile({ stores, outputs: { logProbs }, frozen });
    return new CompletionScorer(program, options.rowsAtOnce, (read) => ({ logProbs: read("logProbs") }));
  }

  /** Creates a scorer that also returns values and entropies. */
  static async ofPolicy(
    device: Device,
    model: Model,
    head: ValueHead,
    options: ScorerOptions,
  ): Promise<CompletionScorer<PolicyScores>> {
    const { states, all, logProbs } = scoreNodes(model, options);
    const stores = [...storesOf(model), head.store];
    const outputs = { logProbs, entropies: entropyOf(all), values: head.valuesOf(states) };
    const program = await device.compile({ stores, outputs, frozen: options.frozen ? stores : [] });
    return new CompletionScorer(program, options.rowsAtOnce, (read) => ({
      logProbs: read("logProbs"),
      values: read("values"),
      entropies: read("entropies"),
    }));
  }

  async score(batch: CompletionBatch): Promise<Scores> {
    const parts: Partial<Record<string, Values>>[] = [];
    for (let start = 0; start < batch.rows; start += this.#rowsAtOnce) {
      // Repeats the last row to fill the batch.
      const rows = Array.from({ length: this.#rowsAtOnce }, (_, at) => Math.min(start + at, batch.rows - 1));
      parts.push(await this.#program.run(modelInputs(rowsOf(batch, rows))));
    }
    return this.#scoresOf((name) => joined(parts, name, batch));
  }

  async dispose(): Promise<void> {
    await this.#program.dispose();
  }
}

/**
 * The states that predict tokens [R * N, D], and their log-probabilities: of the whole vocabulary [R * N, V] and of
 * the tokens [R, N].
 */
function scoreNodes(model: Model, options: ScorerOptions): Readonly<Record<"states" | "all" | "logProbs", Node>> {
  const { rowsAtOnce: R, completionPlaces: N, temperature } = options;
  const states = completionStates(model, R, options);
  const all = ops.logSoftmax(logitsOf(model, states, 1 / temperature));
  const targets = ops.reshape(ops.input("targets", [R, N], "i32"), [R * N, 1]);
  return { states, all, logProbs: ops.reshape(ops.gatherRow(all, targets), [R, N]) };
}

/** The final hidden states that predict the completions' tokens, in a forward pass over R completions: [R * N, D]. */
export function completionStates(
  model: Pick<Model, "config" | "weights">,
  R: number,
  { promptPlaces: P, completionPlaces: N }: BatchShape,
  edit: Pick<ForwardOptions, "editActivations"> = {},
): Node {
  const { hidden } = forward(model, { shape: [R, P + N - 1], maskKeys: true, ...edit });
  return ops.reshape(ops.slice(hidden, 1, P - 1, P + N - 1), [R * N, -1]);
}

function joined(
  parts: readonly Partial<Record<string, Values>>[],
  name: string,
  { rows, completionPlaces: N }: CompletionBatch,
): Float32Array {
  const all = new Float32Array(rows * N);
  let at = 0;
  for (const part of parts) {
    const values = part[name];
    invariant(values instanceof Float32Array, `a scoring program gave no ${name}`);
    all.set(values.subarray(0, all.length - at), at);
    at += values.length;
  }
  return all;
}
