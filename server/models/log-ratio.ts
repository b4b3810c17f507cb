/**
 * What tuning changed in a model's predictions, token by token. Letters: B texts, T token places, V tokens that both models have, R rows of
 * logits held at once.
 */
import { invariant } from "../common/errors.ts";
import type { Device, Program, StateStore } from "../engine/device.ts";
import type { Node, Values } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { type ForwardOptions, forward, logitsOf, type Model, plainPositions } from "./model.ts";

/** Two models of one tokenizer on one device. Names in their stores differ: `loadModel` of one of them takes a prefix. */
export interface ModelPair {
  readonly tuned: Model;
  readonly base: Model;
}

/** One text's numbers, in nats, an entry a token. */
export interface LogRatios {
  /**
   * The learned reward, log pi_tuned(t | before) - log pi_base(t | before): above zero where tuning made the token likelier. NaN where nothing
   * stands before (the first token), and for tokens that only one of the models has.
   */
  readonly logRatio: Float32Array;
  /** KL(pi_tuned || pi_base) of what would come after the token; undefined where the scorer does not work it out. */
  readonly kl: Float32Array | undefined;
}

export interface LogRatioOptions {
  /** B and T of one run. */
  readonly shape: readonly [B: number, T: number];
  /** Works out the divergence too. */
  readonly kl?: boolean;
  /** Whether weights may be copied into a faster layout; they must not change then. Costs a copy of both models. */
  readonly frozen?: boolean;
  /** Changes the tuned model's MLP outputs; `stores` hold what that reads beside the model, and are frozen as the models are. */
  readonly edit?: Required<Pick<ForwardOptions, "editMlpOutput">> & { readonly stores: readonly StateStore[] };
}

/** Logits of one model held at once: so many numbers. */
const logitsAtOnce = 2 ** 22;

/**
 * A compiled forward pass of both models over the same texts. Probabilities are over the tokens that both models have: where one vocabulary is
 * longer (padding columns, added tokens) its further columns are left out of the softmax. A model reads a token that it does not have as its
 * begin-of-text token, else its end-of-text token.
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
   * Numbers of at most B texts of at most T token ids each, with what stands before every text as their first ids. `inputs` are those of the
   * edit.
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

  /** Row t of the program is about the token after t. */
  #ofText(text: Int32Array, results: Awaited<ReturnType<Program["run"]>>, start: number): LogRatios {
    const { logRatio: next, kl } = results;
    invariant(next instanceof Float32Array, "a log-ratio program gave no log-ratios");
    const logRatio = new Float32Array(text.length).fill(Number.NaN);
    for (const [at, id] of text.entries())
      if (at > 0 && id < this.#vocabulary) logRatio[at] = next[start + at - 1] ?? Number.NaN;
    if (!(kl instanceof Float32Array)) return { logRatio, kl: undefined };
    // A divergence is never below zero; a sum of rounded terms may be.
    return { logRatio, kl: kl.slice(start, start + text.length).map((value) => Math.max(0, value)) };
  }
}

/** Tokens that both models have: ids below this. */
export function sharedVocabulary({ tuned, base }: ModelPair): number {
  return Math.min(tuned.config.vocabSize, base.config.vocabSize);
}

export const idsNames = { tuned: "ids.tuned", base: "ids.base" } as const;

/**
 * What both models of a program read: at most B texts of at most T token ids each, padded at their ends, as the inputs of `idsNames` and
 * `positions`, i32 [B, T]. A token that a model does not have is another one to it (see `LogRatioScorer`).
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
    [idsNames.tuned]: readable(ids, tuned),
    [idsNames.base]: readable(ids, base),
    positions: plainPositions(shape),
  };
}

/** Ids with a token that the model has in place of those that it does not have. */
function readable(ids: Int32Array, { config }: Model): Int32Array {
  const { vocabSize, bosId = config.eosIds[0] ?? 0 } = config;
  return ids.map((id) => (id < vocabSize ? id : bosId));
}

/** Inputs of `idsNames`, `positions`, `targets` [B, T] and those of the edit; outputs [B * T]. */
function logRatioGraph(pair: ModelPair, { shape, kl = false, edit }: LogRatioOptions): { logRatio: Node; kl?: Node } {
  const [B, T] = shape;
  const rows = B * T;
  const hiddenOf = (which: keyof ModelPair): Node => {
    const edited = which === "tuned" && edit !== undefined ? { editMlpOutput: edit.editMlpOutput } : {};
    return ops.reshape(forward(pair[which], { shape, idsName: idsNames[which], ...edited }).hidden, [rows, -1]);
  };
  const targets = ops.reshape(ops.input("targets", [B, T], "i32"), [rows, 1]);
  return logRatioNodes(pair, { tuned: hiddenOf("tuned"), base: hiddenOf("base") }, targets, kl);
}

/**
 * From hidden states of both models [N, D] and the tokens that come next, i32 [N, 1]: log-ratios [N] and, where it is asked for, divergences [N].
 * R rows of logits are held at once.
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

/** Log-probabilities [N, V] among the first V tokens, from a model's hidden states [N, D]; further tokens are left out of the softmax. */
export function sharedLogProbs(model: Model, hidden: Node, V: number): Node {
  const logits = logitsOf(model, hidden);
  return ops.logSoftmax(model.config.vocabSize === V ? logits : ops.slice(logits, 1, 0, V));
}

/** Embeddings are looked up, not multiplied with: a copy of theirs would gain nothing. */
export function pairMatrices({ tuned, base }: ModelPair): { readonly names: readonly string[] }[] {
  return [tuned, base].map(({ parameters }) => ({
    names: parameters.filter(({ role }) => role !== "embedding").map(({ name }) => name),
  }));
}
