/**
 * What a model says of completions that are there already. Letters: see completion-batch.ts; R rows scored at once, V
 * vocabulary.
 */
import { invariant } from "../common/errors.ts";
import type { Device, Program } from "../engine/device.ts";
import type { Node, Values } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { forward, logitsOf, type Model } from "../models/model.ts";
import type { ValueHead } from "../models/value-head.ts";
import { type BatchShape, type CompletionBatch, modelInputs, rowsOf } from "./completion-batch.ts";
import { entropyOf } from "./ppo-loss.ts";

export interface ScorerOptions extends BatchShape {
  /** R: the head's product and its softmax are held for so many completions at once. */
  readonly rowsAtOnce: number;
  readonly temperature: number;
  /** The weights will not change while the scorer lives; it is then faster. */
  readonly frozen: boolean;
  /** Also gives values. */
  readonly valueHead?: ValueHead;
  /** Also gives entropies. */
  readonly entropies?: boolean;
}

/** For every place of every completion, [B, N]; what stands at places without a token means nothing. */
export interface CompletionScores {
  /** Of the tokens, at the temperature asked for. */
  readonly logProbs: Float32Array;
  /** Of the states in which the tokens were chosen; empty without a value head. */
  readonly values: Float32Array;
  /** Of the distributions from which the tokens were drawn, in nats; empty unless asked for. */
  readonly entropies: Float32Array;
}

/** A compiled forward pass over completions. */
export class CompletionScorer {
  readonly #program: Program;
  readonly #rowsAtOnce: number;

  private constructor(program: Program, rowsAtOnce: number) {
    this.#program = program;
    this.#rowsAtOnce = rowsAtOnce;
  }

  static async create(device: Device, model: Model, options: ScorerOptions): Promise<CompletionScorer> {
    const { rowsAtOnce: R, valueHead, frozen, temperature } = options;
    const N = options.completionPlaces;
    const states = completionStates(model, R, options);
    const logits = logitsOf(model, ops.affine(states, 1 / temperature));
    const logProbs = ops.logSoftmax(logits);
    const targets = ops.reshape(ops.input("targets", [R, N], "i32"), [R * N, 1]);
    const outputs = {
      logProbs: ops.reshape(ops.gatherRow(logProbs, targets), [R, N]),
      ...(options.entropies === true ? { entropies: entropyOf(logProbs) } : {}),
      ...(valueHead === undefined ? {} : { values: valueHead.valuesOf(states) }),
    };
    const stores = [model.store, ...(valueHead === undefined ? [] : [valueHead.store])];
    return new CompletionScorer(await device.compile({ stores, outputs, frozen: frozen ? stores : [] }), R);
  }

  async score(batch: CompletionBatch): Promise<CompletionScores> {
    const scores = { logProbs: [], values: [], entropies: [] } satisfies Record<keyof CompletionScores, Values[]>;
    const parts: Partial<Record<string, Values>>[] = [];
    for (let start = 0; start < batch.rows; start += this.#rowsAtOnce) {
      // The last rows stand in for ones that are not there.
      const rows = Array.from({ length: this.#rowsAtOnce }, (_, at) => Math.min(start + at, batch.rows - 1));
      parts.push(await this.#program.run(modelInputs(rowsOf(batch, rows))));
    }
    const all = (name: keyof typeof scores): Float32Array => joined(parts, name, batch);
    return { logProbs: all("logProbs"), values: all("values"), entropies: all("entropies") };
  }

  async dispose(): Promise<void> {
    await this.#program.dispose();
  }
}

/** The final hidden states that predict the completions' tokens, of a forward pass over R completions: [R * N, D]. */
export function completionStates(
  model: Pick<Model, "config" | "weights">,
  R: number,
  { promptPlaces: P, completionPlaces: N }: BatchShape,
): Node {
  const { hidden } = forward(model, { shape: [R, P + N - 1], maskKeys: true });
  return ops.reshape(ops.slice(hidden, 1, P - 1, P + N - 1), [R * N, -1]);
}

function joined(
  parts: readonly Partial<Record<string, Values>>[],
  name: string,
  { rows, completionPlaces: N }: CompletionBatch,
): Float32Array {
  const [first] = parts;
  if (first?.[name] === undefined) return new Float32Array();
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
