/**
 * Next-token loss text by text, and the features' statistics on those texts. Letters: B texts, T token places, P = B
 * T, F features.
 */
import { invariant } from "../common/errors.ts";
import type { Device, Program } from "../engine/device.ts";
import type { Node, Values } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { forward, logitsOf, type Model } from "../models/model.ts";
import { textBatch } from "../models/next-token-loss.ts";
import { activationsAt } from "../models/sites.ts";
import type { DictionaryFacts } from "./conditions.ts";
import type { AblatedDictionary, AblationEdit } from "./edit.ts";

export interface LossOptions {
  readonly device: Device;
  readonly model: Model;
  readonly dictionaries: readonly AblatedDictionary[];
  readonly edit: AblationEdit;
  /** Token ids; truncated to `tokens`. */
  readonly texts: readonly Int32Array[];
  readonly tokens: number;
}

/** A unit of work that gives plain numbers: those of some of the texts, prompts or pairs that are measured. */
export interface MeasuredPart {
  /** Their indices, in the order of the numbers. */
  readonly places: readonly number[];
  readonly measure: (signal?: AbortSignal) => Promise<number[]>;
}

/** Partially gathered facts, to be saved. */
export interface GatheredFacts {
  readonly passes: number;
  /** The next pass changes them in place. */
  readonly numbers: Float64Array;
}

/** Upper bound on the number of logits of one batch. */
const logitsAtOnce = 2 ** 22;

/** Measures losses with one program for all conditions: the edit changes between its runs. Dispose it after use. */
export class LossMeter {
  readonly #program: Program;
  readonly #options: LossOptions;
  readonly #shape: readonly [B: number, T: number];

  private constructor(program: Program, options: LossOptions, shape: readonly [number, number]) {
    this.#program = program;
    this.#options = options;
    this.#shape = shape;
  }

  static async create(options: LossOptions): Promise<LossMeter> {
    const { device, model, edit, texts, tokens } = options;
    const T = texts.reduce((longest, text) => Math.max(longest, Math.min(text.length, tokens)), 2);
    const B = Math.max(1, Math.min(texts.length, 16, Math.floor(logitsAtOnce / (T * model.config.vocabSize))));
    const { hidden } = forward(model, { shape: [B, T], editActivations: edit.activations });
    const predicting = ops.reshape(ops.slice(hidden, 1, 0, T - 1), [B * (T - 1), -1]);
    const logProbs = ops.gatherLogProbs(logitsOf(model, predicting), ops.input("targets", [B * (T - 1)], "i32"));
    const weighted = ops.mul(ops.reshape(logProbs, [B, T - 1]), ops.input("weights", [B, T - 1]));
    const loss = ops.negate(ops.sum(weighted, { axes: [1] }));
    const frozen = [model.store, ...edit.frozenStores];
    const program = await device.compile({ stores: [...frozen, ...edit.liveStores], frozen, outputs: { loss } });
    return new LossMeter(program, options, [B, T]);
  }

  /** Mean loss of each text in nats a token, under the current edit. */
  async losses(): Promise<number[]> {
    const losses: number[] = [];
    for (const { places, measure } of this.parts()) losses.push(...(await measure()).slice(0, places.length));
    return losses;
  }

  /** The passes over the texts, each for the losses of its texts; numbers after those are of padding. */
  parts(): MeasuredPart[] {
    const [B] = this.#shape;
    return Array.from({ length: this.#passes }, (_, pass) => ({
      places: [...this.#options.texts.keys()].slice(pass * B, (pass + 1) * B),
      measure: async () => {
        const { loss = [] } = await this.#run(pass);
        return Array.from(loss);
      },
    }));
  }

  /**
   * Facts of every dictionary by name, over the tokens of the texts, in the unchanged model. Resumes from `saved`,
   * and reports the partial result after each pass.
   */
  async facts(
    saved?: GatheredFacts,
    onPass: (gathered: GatheredFacts) => Promise<void> = async () => undefined,
  ): Promise<ReadonlyMap<string, DictionaryFacts>> {
    const { dictionaries, texts, tokens } = this.#options;
    const total = texts.reduce((sum, { length }) => sum + Math.min(length, tokens), 0);
    const count = dictionaries.reduce((sum, { features }) => sum + factNames.length * features, 0);
    const numbers = saved?.numbers.slice() ?? new Float64Array(count);
    invariant(numbers.length === count, `${numbers.length} facts were saved of dictionaries that have ${count}`);
    const facts = factsIn(numbers, dictionaries);
    const program = await factsProgram(this.#options, this.#shape);
    for (let pass = saved?.passes ?? 0; pass < this.#passes; pass++) {
      const results = await this.#run(pass, program);
      for (const [name, own] of facts)
        for (const fact of factNames)
          for (const [at, value] of results[`${fact}.${name}`]?.entries() ?? [])
            own[fact][at] = (own[fact][at] ?? 0) + value / total;
      await onPass({ passes: pass + 1, numbers });
    }
    await program.dispose();
    return facts;
  }

  async dispose(): Promise<void> {
    await this.#program.dispose();
  }

  get #passes(): number {
    return Math.ceil(this.#options.texts.length / this.#shape[0]);
  }

  #run(pass: number, program = this.#program): Promise<Record<string, Values>> {
    const [B] = this.#shape;
    const batch = this.#options.texts.slice(pass * B, (pass + 1) * B);
    const meanOfText = (predictions: number): number => 1 / Math.max(1, predictions);
    return program.run(textBatch(batch, this.#shape, meanOfText));
  }
}

const factNames = ["density", "mean", "meanSquare"] as const satisfies readonly (keyof DictionaryFacts)[];

/** Sums over the tokens of a batch, by fact and dictionary, [F] each. */
async function factsProgram(
  { device, model, dictionaries }: LossOptions,
  [B, T]: readonly [number, number],
): Promise<Program> {
  const real = ops.input("real", [B * T, 1]);
  const passed = forward(model, { shape: [B, T] });
  const outputs: Record<string, Node> = {};
  for (const dictionary of dictionaries) {
    const { name, encode } = dictionary;
    const f = ops.mul(encode(ops.reshape(activationsAt(passed, dictionary), [B * T, -1])), real);
    const of = { density: ops.greater(f, ops.fill([], 0)), mean: f, meanSquare: ops.square(f) };
    for (const fact of factNames) outputs[`${fact}.${name}`] = ops.sum(of[fact], { axes: [0] });
  }
  const stores = [model.store, ...dictionaries.map(({ store }) => store)];
  return await device.compile({ stores, frozen: stores, outputs });
}

/** Views of the numbers: for each dictionary its facts in their order. */
function factsIn(numbers: Float64Array, dictionaries: LossOptions["dictionaries"]): Map<string, DictionaryFacts> {
  let start = 0;
  const next = (length: number): Float64Array => {
    start += length;
    return numbers.subarray(start - length, start);
  };
  return new Map(
    dictionaries.map(({ name, features: F }) => [name, { density: next(F), mean: next(F), meanSquare: next(F) }]),
  );
}
