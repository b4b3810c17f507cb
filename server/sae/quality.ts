/**
 * Measures the quality of trained autoencoders on held-out texts. Letters: B texts, T tokens, P = B T places, D
 * width, F features.
 */
import { z } from "zod";
import type { Device, Program } from "../engine/device.ts";
import type { Node, Values } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { forward, logitsOf } from "../models/model.ts";
import { textBatch } from "../models/next-token-loss.ts";
import type { SubjectModel } from "./activation-buffer.ts";
import { UnknownLayerError } from "./errors.ts";
import { decodeNode, encodeNode } from "./graph.ts";
import { type PlacedSae, placeSae } from "./inference.ts";
import { Moments } from "./moments.ts";
import type { Sae } from "./sae.ts";

/** An autoencoder and the layer whose MLP output it reads. */
export interface SubjectSae {
  readonly id: string;
  readonly layer: number;
  readonly sae: Sae;
}

export interface QualityOptions {
  readonly device: Device;
  readonly model: SubjectModel;
  readonly saes: readonly SubjectSae[];
  /** Token ids of held-out texts, which no autoencoder was trained on. */
  readonly texts: readonly Int32Array[];
  readonly contextLength: number;
  /** Counts of an interrupted measurement with the same options, to resume from. */
  readonly known?: QualityCounts;
  /** Callback awaited after every batch; it may store the result of `counts`, to resume from. It throws to stop. */
  readonly onBatch?: (textsDone: number, counts: () => QualityCounts) => Promise<void>;
}

const numbers = z.record(z.string(), z.number());
export const qualityCountsSchema = z
  .strictObject({
    /** Number of texts done. */
    texts: z.int(),
    tokens: z.int(),
    predictions: z.int(),
    sums: numbers,
    /** How often each feature fired, by autoencoder. */
    fired: z.record(z.string(), z.array(z.number())),
    /** Moments of the inputs, by layer. */
    moments: z.record(z.string(), z.strictObject({ count: z.int(), mean: z.array(z.number()), variation: z.number() })),
  })
  .readonly();
/** Counts over the texts done so far, as plain JSON. */
export type QualityCounts = z.infer<typeof qualityCountsSchema>;

export interface SaeQuality {
  readonly id: string;
  /** Number of tokens that the means are over. */
  readonly tokens: number;
  /** Mean number of active features a token, ‖f‖₀. */
  readonly l0: number;
  /** Mean ‖f‖₁ a token. */
  readonly l1: number;
  /** Fraction of variance explained: 1 - Σ‖x̂ - x‖² / Σ‖x - mean x‖². */
  readonly fve: number;
  /**
   * Mean over elements of (x̂ - x)²: the normalised reconstruction loss that the published code logs and Tables 11
   * and 12 print.
   */
  readonly meanSquaredError: number;
  /** Σ‖x̂ - x‖² / Σ‖x‖². */
  readonly normalisedError: number;
  /** L0 / 100: apparently the sparsity column of Tables 11 and 12 (method notes, 1.6). */
  readonly tableSparsity: number;
  /** Features that fired at none of the tokens. */
  readonly dead: number;
  /** Share of the tokens at which each feature is active, [F]. */
  readonly density: Float64Array;
  /**
   * Next-token cross-entropy in nats: unchanged, with the MLP's output replaced by zeros, and by the reconstruction.
   */
  readonly lossClean: number;
  readonly lossZero: number;
  readonly lossSpliced: number;
  /** (zero - spliced) / (zero - clean); null when zeros do not change the loss. */
  readonly lossRecovered: number | null;
}

/** Measures autoencoders of one model. Throws `UnknownLayerError` and `DeviceError`. */
export async function measureSaes(options: QualityOptions): Promise<SaeQuality[]> {
  const { device, model, saes, texts, contextLength, known, onBatch } = options;
  const layers = [...new Set(saes.map(({ layer }) => layer))].toSorted((a, b) => a - b);
  const T = texts.reduce((longest, text) => Math.max(longest, Math.min(text.length, contextLength)), 2);
  const B = Math.max(1, Math.min(texts.length, 16, Math.floor(logitsLimit / (T * model.model.config.vocabSize))));
  const placed: PlacedSae[] = [];
  for (const { id, sae } of saes) placed.push(await placeSae(device, `quality.${id}`, sae));
  const program = await compileSplicing(options, placed, layers, [B, T]);
  const tally = new Tally(saes, layers, known);
  while (tally.texts < texts.length) {
    const batch = texts.slice(tally.texts, tally.texts + B);
    await tally.add(program, batchOf(batch, B, T));
    await onBatch?.(tally.texts, () => tally.counts());
  }
  await program.dispose();
  await Promise.all(placed.map(({ store }) => store.dispose()));
  return tally.result();
}

/** Upper bound on the number of logits of one batch. */
const logitsLimit = 2 ** 23;

/**
 * Compiles one program for all measurements of a model. It replaces each layer's MLP output x by x (1 - Σ gates) + Σ
 * gate x̂ over a gate for zeros (x̂ = 0) and one for each of its autoencoders. With every gate at 0 the model is
 * unchanged and the autoencoders read its own activations.
 */
function compileSplicing(
  { device, model: { model, stores = [] }, saes }: QualityOptions,
  placed: readonly PlacedSae[],
  layers: readonly number[],
  [B, T]: readonly [number, number],
): Promise<Program> {
  const gates = ops.input("gates", [layers.length + saes.length]);
  const gate = (at: number): Node => ops.slice(gates, 0, at, at + 1);
  const real = ops.input("real", [B * T, 1]);
  const outputs: Record<string, Node> = {};
  const unknown = layers.find((layer) => layer >= model.config.layers || layer < 0);
  if (unknown !== undefined) throw new UnknownLayerError(unknown, model.config.layers);
  const editMlpOutput = (layer: number, output: Node): Node => {
    if (!layers.includes(layer)) return output;
    const x = ops.reshape(output, [B * T, -1]);
    Object.assign(outputs, inputStatistics(layer, x, real));
    let shut = gate(layers.indexOf(layer));
    let spliced: Node | undefined;
    for (const [at, { id, layer: own }] of saes.entries()) {
      const nodes = placed[at]?.nodes;
      if (own !== layer || nodes === undefined) continue;
      const features = encodeNode(x, nodes);
      const reconstruction = decodeNode(features, nodes);
      Object.assign(outputs, featureStatistics(id, x, features, reconstruction, real));
      const open = gate(layers.length + at);
      const part = ops.mul(reconstruction, open);
      shut = ops.add(shut, open);
      spliced = spliced === undefined ? part : ops.add(spliced, part);
    }
    const kept = ops.mul(x, ops.affine(shut, -1, 1));
    return ops.reshape(spliced === undefined ? kept : ops.add(kept, spliced), output.shape);
  };
  const { hidden } = forward(model, { shape: [B, T], editMlpOutput });
  const predicting = ops.reshape(ops.slice(hidden, 1, 0, T - 1), [B * (T - 1), -1]);
  const logProbs = ops.gatherLogProbs(logitsOf(model, predicting), ops.input("targets", [B * (T - 1)], "i32"));
  outputs["lossSum"] = ops.negate(ops.sum(ops.mul(logProbs, ops.input("weights", [B * (T - 1)]))));
  const frozen = [model.store, ...stores, ...placed.map(({ store }) => store)];
  return device.compile({ stores: frozen, frozen, outputs });
}

/** Over the non-padding places of x [P, D]: the mean [D], and the sums of squared distances from it and from zero. */
function inputStatistics(layer: number, x: Node, real: Node): Record<string, Node> {
  const mean = ops.div(ops.sum(ops.mul(x, real), { axes: [0], keepDims: true }), ops.sum(real));
  return {
    [`mean.${layer}`]: mean,
    [`variation.${layer}`]: ops.sum(ops.mul(ops.square(ops.sub(x, mean)), real)),
    [`energy.${layer}`]: ops.sum(ops.mul(ops.square(x), real)),
  };
}

function featureStatistics(
  id: string,
  x: Node,
  features: Node,
  reconstruction: Node,
  real: Node,
): Record<string, Node> {
  const counted = ops.mul(features, real);
  return {
    [`squares.${id}`]: ops.sum(ops.mul(ops.square(ops.sub(reconstruction, x)), real)),
    [`featureSum.${id}`]: ops.sum(counted),
    [`fired.${id}`]: ops.sum(ops.greater(counted, ops.fill([], 0)), { axes: [0] }),
  };
}

interface Batch {
  readonly texts: number;
  readonly inputs: Readonly<Record<string, Values>>;
  readonly tokens: number;
  readonly predictions: number;
}

function batchOf(texts: readonly Int32Array[], B: number, T: number): Batch {
  const inputs = textBatch(texts, [B, T], () => 1);
  const sum = (values: Float32Array): number => values.reduce((a, b) => a + b, 0);
  return { texts: texts.length, inputs, tokens: sum(inputs.real), predictions: sum(inputs.weights) };
}

/** Accumulates the counts, in double precision. */
class Tally {
  readonly #saes: readonly SubjectSae[];
  readonly #layers: readonly number[];
  readonly #moments: ReadonlyMap<number, Moments>;
  readonly #sums: Map<string, number>;
  readonly #fired: ReadonlyMap<string, Float64Array>;
  #texts: number;
  #tokens: number;
  #predictions: number;

  constructor(saes: readonly SubjectSae[], layers: readonly number[], known: QualityCounts = nothing) {
    this.#saes = saes;
    this.#layers = layers;
    this.#moments = new Map(layers.map((layer) => [layer, Moments.fromState(known.moments[layer] ?? none)]));
    this.#sums = new Map(Object.entries(known.sums));
    this.#fired = new Map(
      saes.map(({ id, sae }) => [id, Float64Array.from(known.fired[id] ?? new Float64Array(sae.F))]),
    );
    this.#texts = known.texts;
    this.#tokens = known.tokens;
    this.#predictions = known.predictions;
  }

  get texts(): number {
    return this.#texts;
  }

  counts(): QualityCounts {
    return {
      texts: this.#texts,
      tokens: this.#tokens,
      predictions: this.#predictions,
      sums: Object.fromEntries(this.#sums),
      fired: Object.fromEntries(Array.from(this.#fired, ([id, counts]) => [id, [...counts]])),
      moments: Object.fromEntries(
        Array.from(this.#moments, ([layer, { state }]) => [layer, { ...state, mean: [...state.mean] }]),
      ),
    };
  }

  async add(program: Program, { texts, inputs, tokens, predictions }: Batch): Promise<void> {
    this.#texts += texts;
    if (tokens === 0) return;
    const shut = new Float32Array(this.#layers.length + this.#saes.length);
    const clean = await program.run({ ...inputs, gates: shut });
    this.#tokens += tokens;
    this.#predictions += predictions;
    this.#sum("clean", clean["lossSum"]);
    for (const layer of this.#layers) {
      this.#moments.get(layer)?.add(tokens, clean[`mean.${layer}`] ?? [], clean[`variation.${layer}`]?.[0] ?? 0);
      this.#sum(`energy.${layer}`, clean[`energy.${layer}`]);
    }
    for (const { id } of this.#saes) {
      this.#sum(`squares.${id}`, clean[`squares.${id}`]);
      this.#sum(`featureSum.${id}`, clean[`featureSum.${id}`]);
      const fired = this.#fired.get(id);
      for (const [feature, count] of clean[`fired.${id}`]?.entries() ?? [])
        if (fired !== undefined) fired[feature] = (fired[feature] ?? 0) + count;
    }
    for (const [at] of shut.entries()) {
      const gates = shut.map((_, other) => (other === at ? 1 : 0));
      const { lossSum } = await program.run({ ...inputs, gates });
      this.#sum(`loss.${at}`, lossSum);
    }
  }

  result(): SaeQuality[] {
    return this.#saes.map(({ id, layer, sae }, at) => {
      const [n, squares] = [this.#tokens, this.#value(`squares.${id}`)];
      const fired = this.#fired.get(id) ?? new Float64Array();
      const l0 = fired.reduce((total, count) => total + count, 0) / n;
      const loss = (name: string): number => this.#value(name) / this.#predictions;
      const lossClean = loss("clean");
      const lossZero = loss(`loss.${this.#layers.indexOf(layer)}`);
      const lossSpliced = loss(`loss.${this.#layers.length + at}`);
      return {
        id,
        tokens: n,
        l0,
        l1: this.#value(`featureSum.${id}`) / n,
        fve: 1 - squares / (this.#moments.get(layer)?.variation ?? Number.NaN),
        meanSquaredError: squares / (n * sae.D),
        normalisedError: squares / this.#value(`energy.${layer}`),
        tableSparsity: l0 / 100,
        dead: fired.filter((count) => count === 0).length,
        density: fired.map((count) => count / n),
        lossClean,
        lossZero,
        lossSpliced,
        lossRecovered: lossZero === lossClean ? null : (lossZero - lossSpliced) / (lossZero - lossClean),
      };
    });
  }

  #sum(name: string, values: Values | undefined): void {
    this.#sums.set(name, this.#value(name) + (values?.[0] ?? Number.NaN));
  }

  #value(name: string): number {
    return this.#sums.get(name) ?? 0;
  }
}

const none = { count: 0, mean: [], variation: 0 } as const;
const nothing: QualityCounts = { texts: 0, tokens: 0, predictions: 0, sums: {}, fired: {}, moments: {} };
