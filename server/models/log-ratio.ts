/**
 * What tuning changed in a model's predictions, token by token. Letters: B texts, T tokens, V tokens that both models
 * have, R rows of logits held at once.
 */
import { invariant } from "../common/errors.ts";
import type { Device, Program, StateStore } from "../engine/device.ts";
import type { Node, Values } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { type ForwardOptions, forward, logitsOf, type Model, plainPositions } from "./model.ts";

/** Two models with one tokenizer on one device. Load one with a prefix, so that their stores' names differ. */
export interface ModelPair {
  readonly tuned: Model;
  readonly base: Model;
}

/** One text's values in nats, one entry per token. */
export interface LogRatios {
  /**
   * The learned reward, log pi_tuned(t | before) - log pi_base(t | before): above zero where tuning made the token
   * likelier. NaN for the first token, which nothing precedes, and for tokens that only one of the models has.
   */
  readonly logRatio: Float32Array;
  /**
   * KL(pi_tuned || pi_base) of the next-token distribution after this token; undefined unless the scorer computes it.
   */
  readonly kl: Float32Array | undefined;
}

export interface LogRatioOptions {
  /** B and T of one run. */
  readonly shape: readonly [B: number, T: number];
  /** Computes the divergence too. */
  readonly kl?: boolean;
  /**
   * Whether weights may be copied into a faster layout; they must not change afterwards. Costs a copy of both models.
   */
  readonly frozen?: boolean;
  /**
   * Edits the tuned model's activations; `stores` hold what the edit reads beside the model, and are frozen with it.
   */
  readonly edit?: Required<Pick<ForwardOptions, "editActivations">> & { readonly stores: readonly StateStore[] };
}

/** Maximum number of logits of one model held at once. */
const logitsAtOnce = 2 ** 22;

/**
 * A compiled forward pass of both models over the same texts. Probabilities are over the tokens that both models have:
 * where one vocabulary is longer (padding columns, added tokens), the softmax leaves its further columns out. A model
 * reads a token that it does not have as its begin-of-text token, else its end-of-text token.
 */
export class LogRatioScorer {
  readonly #program: Program;
  readonly #shape: readonly [B: number, T: number];
  readonly #pair: ModelPair;
  readonly #vocabulary: number;

  private constructor(program: Program, pair: ModelPair, shape: readonly [number, number]) {
    this.#program = program;
    this.#shape = shape;
    this.#pair = pair;
    this.#vocabulary = sharedVocabulary(pair);
  }

  /** Throws `ContextLengthError` for more tokens than a model takes, and what `Device.compile` throws. */
  static async create(device: Device, pair: ModelPair, options: LogRatioOptions): Promise<LogRatioScorer> {
    const { frozen = true, edit } = options;
    const outputs = logRatioGraph(pair, options);
    const own = edit?.stores ?? [];
    const stores = [pair.tuned.store, pair.base.store, ...own];
    const program = await device.compile({ stores, outputs, frozen: frozen ? [...pairMatrices(pair), ...own] : [] });
    return new LogRatioScorer(program, pair, options.shape);
  }

  get shape(): readonly [B: number, T: number] {
    return this.#shape;
  }

  /**
   * Scores at most B texts of at most T token ids each, whose first ids are whatever precedes the text, such as a
   * begin-of-text token. `inputs` are those of the edit.
   */
  async score(texts: readonly Int32Array[], inputs: Readonly<Record<string, Values>> = {}): Promise<LogRatios[]> {
    const [B, T] = this.#shape;
    const own = pairInputs(this.#pair, texts, this.#shape);
    const targets = new Int32Array(B * T);
    for (const [b, text] of texts.entries()) {
      const next = text.subarray(1).map((id) => (id < this.#vocabulary ? id : 0));
      targets.set(next, b * T);
    }
    const results = await this.#program.run({ ...inputs, ...own, targets });
    return texts.map((text, b) => this.#ofText(text, results, b * T));
  }

  async dispose(): Promise<void> {
    await this.#program.dispose();
  }

  /** One text's results. Row t of the program scores the token after t. */
  #ofText(text: Int32Array, results: Awaited<ReturnType<Program["run"]>>, start: number): LogRatios {
    const { logRatio: next, kl } = results;
    invariant(next instanceof Float32Array, "a log-ratio program gave no log-ratios");
    const logRatio = new Float32Array(text.length).fill(Number.NaN);
    for (const [at, id] of text.entries())
      if (at > 0 && id < this.#vocabulary) logRatio[at] = next[start + at - 1] ?? Number.NaN;
    if (!(kl instanceof Float32Array)) return { logRatio, kl: undefined };
    // A divergence is never negative, but rounding can make the sum so.
    return { logRatio, kl: kl.slice(start, start + text.length).map((value) => Math.max(0, value)) };
  }
}

/** Tokens that both models have: ids below this. */
export function sharedVocabulary({ tuned, base }: ModelPair): number {
  return Math.min(tuned.config.vocabSize, base.config.vocabSize);
}

export const idsNames = { tuned: "ids.tuned", base: "ids.base" } as const;

/**
 * Inputs of `idsNames` and `positions`, i32 [B, T], for at most B texts of at most T token ids each, padded at their
 * ends. Tokens that a model does not have are replaced (see `LogRatioScorer`).
 */
export function pairInputs(
  { tuned, base }: ModelPair,
  texts: readonly Int32Array[],
  shape: readonly [B: number, T: number],
): Record<string, Int32Array> {
  const [B, T] = shape;
  invariant(texts.length <= B, `${texts.length} texts were given to a program for ${B}`);
  const ids = new Int32Array(B * T);
  for (const [b, text] of texts.entries()) {
    invariant(text.length <= T, `a text of ${text.length} tokens was given to a program for ${T}`);
    ids.set(text, b * T);
  }
  return {
    [idsNames.tuned]: readableIds(ids, tuned),
    [idsNames.base]: readableIds(ids, base),
    positions: plainPositions(shape),
  };
}

/** Ids with those that the model does not have replaced by one that it has. */
export function readableIds(ids: Int32Array, { config }: Model): Int32Array {
  const { vocabSize, bosId = config.eosIds[0] ?? 0 } = config;
  return ids.map((id) => (id < vocabSize ? id : bosId));
}

/** Inputs of `idsNames`, `positions`, `targets` [B, T] and those of the edit; outputs [B * T]. */
function logRatioGraph(pair: ModelPair, { shape, kl = false, edit }: LogRatioOptions): { logRatio: Node; kl?: Node } {
  const [B, T] = shape;
  const rows = B * T;
  const hiddenOf = (which: keyof ModelPair): Node => {
    const edited = which === "tuned" && edit !== undefined ? { editActivations: edit.editActivations } : {};
    return ops.reshape(forward(pair[which], { shape, idsName: idsNames[which], ...edited }).hidden, [rows, -1]);
  };
  const targets = ops.reshape(ops.input("targets", [B, T], "i32"), [rows, 1]);
  return logRatioNodes(pair, { tuned: hiddenOf("tuned"), base: hiddenOf("base") }, targets, kl);
}

/**
 * Log-ratios [N] and, if `kl`, divergences [N], from the hidden states of both models [N, D] and the next tokens, i32
 * [N, 1]. Materialises R rows of logits at a time.
 */
export function logRatioNodes(
  pair: ModelPair,
  hidden: Readonly<Record<keyof ModelPair, Node>>,
  targets: Node,
  kl = false,
): { logRatio: Node; kl?: Node } {
  const V = sharedVocabulary(pair);
  const rows = targets.shape[0] ?? 0;
  const R = Math.max(1, Math.min(rows, Math.floor(logitsAtOnce / V)));
  const ratios: Node[] = [];
  const divergences: Node[] = [];
  for (let start = 0; start < rows; start += R) {
    const end = Math.min(rows, start + R);
    const logProbs = (name: keyof ModelPair): Node =>
      sharedLogProbs(pair[name], ops.slice(hidden[name], 0, start, end), V);
    const [p, q] = [logProbs("tuned"), logProbs("base")];
    const own = ops.slice(targets, 0, start, end);
    const ratio = ops.sub(p, q);
    ratios.push(ops.sub(ops.gatherRow(p, own), ops.gatherRow(q, own)));
    if (kl) divergences.push(ops.sum(ops.mul(ops.exp(p), ratio), { axes: [1] }));
  }
  const joined = (parts: readonly Node[]): Node =>
    ops.concat(
      parts.map((part) => ops.reshape(part, [-1])),
      0,
    );
  return { logRatio: joined(ratios), ...(kl ? { kl: joined(divergences) } : {}) };
}

/** Log-probabilities [N, V] from hidden states [N, D]; the softmax is over the first V logits only, times `scale`. */
export function sharedLogProbs(model: Model, hidden: Node, V: number, scale?: number): Node {
  const logits = logitsOf(model, hidden, scale);
  return ops.logSoftmax(model.config.vocabSize === V ? logits : ops.slice(logits, 1, 0, V));
}

/** Parameters worth freezing: all but embeddings, which are looked up, so that a faster layout would gain nothing. */
export function pairMatrices({ tuned, base }: ModelPair): { readonly names: readonly string[] }[] {
  return [tuned, base].map(({ parameters }) => ({
    names: parameters.filter(({ role }) => role !== "embedding").map(({ name }) => name),
  }));
}
