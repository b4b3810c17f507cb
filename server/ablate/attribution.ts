/**
 * Attribution: how much of what tuning raised each feature carries, by gradient times activation. Letters: M
 * completions at once, P prompt places, N completion places, T = P + N - 1 places read, D width, F features of a
 * dictionary, V vocabulary.
 *
 * With J a scalar of a completion, x the activations of a site, f the features of x and d the decoder's rows,
 * feature j gets
 *
 *     A_j = Σ_t f_j,t (d_j · ∂J/∂x_t)
 *
 * which is ∂J/∂k_j at k_j = 1 of the edit in edit.ts: to first order J falls by A_j when the feature is removed, and
 * rises by as much when it is doubled. A feature above zero raises J, one below zero lowers it. (Integrated
 * gradients with one step: Sundararajan et al. 2017, https://arxiv.org/abs/1703.01365; of features with the error
 * term kept: Marks et al. 2024, https://arxiv.org/abs/2403.19647.)
 */
import { invariant } from "../common/errors.ts";
import type { Device, Program, StateStore } from "../engine/device.ts";
import { gradients } from "../engine/gradients.ts";
import type { Node, Values } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { sharedLogProbs, sharedVocabulary } from "../models/log-ratio.ts";
import { forward, logitsOf, type Model } from "../models/model.ts";
import { activationsAt } from "../models/sites.ts";
import type { AblatedDictionary } from "./edit.ts";

/**
 * The attributed quantity: J of a completion sums over its places a function of the distribution that the token was
 * sampled from.
 */
export type Objective =
  /** Σ_w p(w) value(w): the expected reward of the next token. `values` is [V]. */
  | { readonly kind: "reward"; readonly values: Float32Array }
  /**
   * Σ_w p(w) (log p(w) - log q(w)), q of the base model: the learned reward of each token in place of its rating.
   * The log-ratio of the sampled tokens would not do: the expectation of its gradient over the samples is zero, so
   * that gradient is noise. The base model's store must have names of its own.
   */
  | { readonly kind: "logRatio"; readonly base: Model }
  /**
   * ±log p of the answer's own tokens, + for a pair's chosen answer and - for its rejected one: a pair's two rows add
   * up to its margin, but for the reference's part, which no activation of this model changes.
   */
  | { readonly kind: "margin" };

export interface AttributionOptions {
  readonly device: Device;
  /** The tuned model. */
  readonly model: Model;
  readonly objective: Objective;
  readonly dictionaries: readonly AblatedDictionary[];
  /** Shape of the completions that `add` will receive. */
  readonly shape: { readonly promptPlaces: number; readonly completionPlaces: number };
  /** Temperature that the completions were sampled at. */
  readonly temperature: number;
}

/** Completions with their prompts, prompts padded on the left and completions on the right. */
export interface CompletionRows {
  /** R */
  readonly rows: number;
  /** [R, T] */
  readonly ids: Int32Array;
  readonly positions: Int32Array;
  /** [R, T]: below zero at the padding of a prompt. */
  readonly keyBias: Float32Array;
  /** [R, N]: 1 where a completion has a token. */
  readonly mask: Float32Array;
  /** The completions' tokens, [R, N]; the objective `margin` reads them. */
  readonly targets?: Int32Array;
  /** [R]: 1 for a chosen answer, -1 for a rejected one. */
  readonly signs?: Float32Array;
}

/** Attribution of one dictionary's features, [F] each. */
export interface FeatureAttribution {
  /** A_j, mean over completions. */
  readonly score: number[];
  /** Standard error of that mean. */
  readonly error: number[];
  /** Mean of f_j² over tokens. */
  readonly energy: number[];
  /** Share of tokens on which f_j is above zero. */
  readonly density: number[];
}

export interface Attribution {
  readonly completions: number;
  readonly tokens: number;
  /** J, mean over completions. */
  readonly objective: number;
  /** By the dictionaries' names. */
  readonly dictionaries: ReadonlyMap<string, FeatureAttribution>;
}

/** Upper bound on the number of logits of one batch. */
const logitsAtOnce = 2 ** 22;
const mostRows = 64;
/** The accumulated sums: over completions the first two, over tokens the others. */
const parts = ["score", "squares", "active", "energy"] as const;

/** One compiled forward and backward pass, and the sums accumulated so far. Dispose it after use. */
export class Attributor {
  readonly #options: AttributionOptions;
  readonly #program: Program;
  readonly #values: StateStore | undefined;
  readonly #rows: number;
  /** Numbers of completions and tokens, the sum of J; then for every dictionary the sums of `parts`. */
  readonly #numbers: Float64Array<ArrayBuffer>;

  private constructor(options: AttributionOptions, program: Program, values: StateStore | undefined, rows: number) {
    this.#options = options;
    this.#program = program;
    this.#values = values;
    this.#rows = rows;
    const features = options.dictionaries.reduce((sum, one) => sum + one.features, 0);
    this.#numbers = new Float64Array(totals + parts.length * features);
  }

  static async create(options: AttributionOptions): Promise<Attributor> {
    const { device, model, objective, dictionaries, shape } = options;
    const V = model.config.vocabSize;
    const rows = Math.max(1, Math.min(mostRows, Math.floor(logitsAtOnce / (shape.completionPlaces * V))));
    const values = await placeValues(device, objective, V);
    const own = [model.store, ...(objective.kind === "logRatio" ? [objective.base.store] : [])];
    const frozen = [...own, ...dictionaries.map(({ store }) => store), ...(values === undefined ? [] : [values])];
    const program = await device.compile({ stores: frozen, frozen, outputs: outputsOf(options, rows) });
    return new Attributor(options, program, values, rows);
  }

  /** Adds completions to the sums. */
  async add(batch: CompletionRows): Promise<void> {
    for (let start = 0; start < batch.rows; start += this.#rows) {
      const count = Math.min(this.#rows, batch.rows - start);
      const inputs = this.#inputs(batch, start, count);
      const tokens = inputs.real.reduce((sum, value) => sum + value, 0);
      this.#sumUp(await this.#program.run(inputs), count, tokens);
    }
  }

  /** All sums so far, not copied, for a checkpoint. */
  get captured(): Float64Array<ArrayBuffer> {
    return this.#numbers;
  }

  /** Resumes from captured sums. */
  restore(numbers: Float64Array): void {
    invariant(
      numbers.length === this.#numbers.length,
      `${numbers.length} sums were saved of an attribution that has ${this.#numbers.length}`,
    );
    this.#numbers.set(numbers);
  }

  result(): Attribution {
    const [completions = 0, tokens = 0, objective = 0] = this.#numbers;
    invariant(completions > 0, "an attribution was asked for before any completion was added");
    let start = totals;
    const next = (length: number): number[] => {
      start += length;
      return Array.from(this.#numbers.subarray(start - length, start));
    };
    const of = ({ name, features: F }: AblatedDictionary): [string, FeatureAttribution] => {
      const [sums, squares, active, energy] = [next(F), next(F), next(F), next(F)];
      const perToken = (values: readonly number[]): number[] => values.map((value) => value / Math.max(1, tokens));
      const error = sums.map((sum, j) => standardError(sum, squares[j] ?? 0, completions));
      const score = sums.map((sum) => sum / completions);
      return [name, { score, error, energy: perToken(energy), density: perToken(active) }];
    };
    const dictionaries = new Map(this.#options.dictionaries.map(of));
    return { completions, tokens, objective: objective / completions, dictionaries };
  }

  async dispose(): Promise<void> {
    await this.#program.dispose();
    await this.#values?.dispose();
  }

  /** Rows beyond the batch have no token, so they add nothing. */
  #inputs(batch: CompletionRows, start: number, count: number): Record<string, Values> & { real: Float32Array } {
    const { promptPlaces: P, completionPlaces: N } = this.#options.shape;
    const [M, T] = [this.#rows, P + N - 1];
    const ids = new Int32Array(M * T);
    const positions = new Int32Array(M * T);
    const keyBias = new Float32Array(M * T);
    const mask = new Float32Array(M * N);
    const real = new Float32Array(M * T);
    ids.set(batch.ids.subarray(start * T, (start + count) * T));
    positions.set(batch.positions.subarray(start * T, (start + count) * T));
    keyBias.set(batch.keyBias.subarray(start * T, (start + count) * T));
    mask.set(batch.mask.subarray(start * N, (start + count) * N));
    // A completion's last token is only predicted: J does not depend on the activations there.
    for (let at = 0; at < count * T; at++) {
      const [row, place] = [Math.floor(at / T), at % T];
      const isReal = place < P ? keyBias[at] === 0 : mask[row * N + place - P + 1] === 1;
      real[at] = Number(isReal);
    }
    const common = { ids, positions, keyBias, mask, real };
    if (this.#options.objective.kind !== "margin") return common;
    const targets = new Int32Array(M * N);
    const signs = new Float32Array(M);
    targets.set(batch.targets?.subarray(start * N, (start + count) * N) ?? []);
    signs.set(batch.signs?.subarray(start, start + count) ?? []);
    return { ...common, targets, signs };
  }

  #sumUp(results: Readonly<Record<string, Values>>, completions: number, tokens: number): void {
    const add = (at: number, value: number): void => {
      this.#numbers[at] = (this.#numbers[at] ?? 0) + value;
    };
    add(0, completions);
    add(1, tokens);
    const { objective: J = [] } = results;
    add(2, J[0] ?? Number.NaN);
    let start = totals;
    for (const { name, features } of this.#options.dictionaries) {
      for (const part of parts) {
        const values = results[`${part}.${name}`];
        invariant(values?.length === features, `an attribution's program gave no ${part} of dictionary ${name}`);
        for (const [j, value] of values.entries()) add(start + j, value);
        start += features;
      }
    }
  }
}

/** Count of the numbers before those of the dictionaries. */
const totals = 3;

/** Standard error of the mean of n values with this sum and sum of squares; 0 for one value. */
function standardError(sum: number, squares: number, n: number): number {
  if (n < 2) return 0;
  return Math.sqrt(Math.max(0, squares - sum ** 2 / n) / (n - 1) / n);
}

async function placeValues(device: Device, objective: Objective, V: number): Promise<StateStore | undefined> {
  if (objective.kind !== "reward") return undefined;
  invariant(
    objective.values.length === V,
    `${objective.values.length} token values were given for a vocabulary of ${V}`,
  );
  return await device.createState([{ name: valuesName, shape: [V, 1], values: objective.values.slice() }]);
}

const valuesName = "attribute.values";

/** Inputs: those of `forward` for [M, T], `mask` [M, N] and `real` [M, T]. */
function outputsOf({ model, objective, dictionaries, shape, temperature }: AttributionOptions, M: number) {
  const { promptPlaces: P, completionPlaces: N } = shape;
  const T = P + N - 1;
  const passed = forward(model, { shape: [M, T], maskKeys: true });
  const { hidden } = passed;
  const predicting = (states: Node): Node => ops.reshape(ops.slice(states, 1, P - 1, T), [M * N, -1]);
  const scale = 1 / temperature;
  const places = placesOf(objective, { model, predicting, scale, hidden, shape: [M, T], places: [M, N] });
  const J = ops.sum(ops.mul(ops.reshape(places, [M, N]), ops.input("mask", [M, N])));
  const studied = [...Map.groupBy(dictionaries, (dictionary) => activationsAt(passed, dictionary))];
  const found = gradients(
    J,
    studied.map(([x]) => x),
  );
  const real = ops.reshape(ops.input("real", [M, T]), [M * T, 1]);
  const outputs: Record<string, Node> = { objective: J };
  for (const [at, [x, own]] of studied.entries()) {
    const gradient = found[at];
    invariant(gradient !== undefined, `layer ${own[0]?.layer} has no gradient`);
    for (const dictionary of own) Object.assign(outputs, sumsOf(dictionary, x, gradient, real, [M, T]));
  }
  return outputs;
}

/** The sums over completions of one dictionary, [F] each. */
function sumsOf(
  { name, features: F, encode, decoder }: AblatedDictionary,
  x: Node,
  gradient: Node,
  real: Node,
  [M, T]: readonly [number, number],
): Record<string, Node> {
  const f = ops.mul(encode(ops.reshape(x, [M * T, -1])), real);
  const along = ops.matmul(ops.reshape(gradient, [M * T, -1]), decoder, { transB: true });
  const ofCompletion = ops.sum(ops.reshape(ops.mul(f, along), [M, T, F]), { axes: [1] });
  return {
    [`score.${name}`]: ops.sum(ofCompletion, { axes: [0] }),
    [`squares.${name}`]: ops.sum(ops.square(ofCompletion), { axes: [0] }),
    [`active.${name}`]: ops.sum(ops.greater(f, ops.fill([], 0)), { axes: [0] }),
    [`energy.${name}`]: ops.sum(ops.square(f), { axes: [0] }),
  };
}

interface ObjectiveContext {
  readonly model: Model;
  /** The tuned model's hidden states, [M, T, D]. */
  readonly hidden: Node;
  readonly shape: readonly [M: number, T: number];
  readonly places: readonly [M: number, N: number];
  /** [M, T, D] -> the states that predict the completions' tokens, [M * N, D]. */
  readonly predicting: (states: Node) => Node;
  /** What logits are multiplied by: one over the temperature. */
  readonly scale: number;
}

/** Contribution of every completion place to J, [M * N]. */
function placesOf(objective: Objective, context: ObjectiveContext): Node {
  switch (objective.kind) {
    case "reward":
      return rewardPlaces(context);
    case "logRatio":
      return logRatioPlaces(objective.base, context);
    case "margin":
      return marginPlaces(context);
    default:
      objective satisfies never;
      throw new TypeError("unknown objective");
  }
}

function rewardPlaces({ model, hidden, predicting, scale }: ObjectiveContext): Node {
  const probs = ops.softmax(logitsOf(model, predicting(hidden), scale));
  return ops.reshape(ops.matmul(probs, ops.state(valuesName, [model.config.vocabSize, 1])), [-1]);
}

function marginPlaces({ model, hidden, predicting, scale, places: [M, N] }: ObjectiveContext): Node {
  const targets = ops.input("targets", [M * N], "i32");
  const logProbs = ops.gatherLogProbs(logitsOf(model, predicting(hidden), scale), targets);
  return ops.reshape(ops.mul(ops.reshape(logProbs, [M, N]), ops.input("signs", [M, 1])), [M * N]);
}

function logRatioPlaces(base: Model, { model, hidden, predicting, scale, shape }: ObjectiveContext): Node {
  const V = sharedVocabulary({ tuned: model, base });
  const p = sharedLogProbs(model, predicting(hidden), V, scale);
  const q = sharedLogProbs(base, predicting(forward(base, { shape, maskKeys: true }).hidden), V, scale);
  return ops.sum(ops.mul(ops.exp(p), ops.sub(p, q)), { axes: [1] });
}
