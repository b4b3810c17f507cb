/**
 * Measures the quality of trained autoencoders on held-out texts. Letters: B texts, T tokens, P = B T places, D
 * width, F features.
 */
import { z } from "zod";
import type { Device, Program } from "../engine/device.ts";
import type { Node, Values } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import type { ActivationEdit } from "../models/architecture.ts";
import { forward, logitsOf } from "../models/model.ts";
import { textBatch } from "../models/next-token-loss.ts";
import { hookOf, type LayerSite } from "../models/sites.ts";
import type { SubjectModel } from "./activation-buffer.ts";
import { requireLayers } from "./errors.ts";
import { decodeNode, encodeNode } from "./graph.ts";
import { type PlacedSae, placeSae } from "./inference.ts";
import { Moments } from "./moments.ts";
import type { Sae } from "./sae.ts";

/** An autoencoder and the site that it reads. */
export interface SubjectSae extends LayerSite {
  readonly id: string;
  readonly sae: Sae;
  /** Its weights on the device, where the caller has placed them; they stay there. */
  readonly placed?: PlacedSae;
}

export interface QualityOptions {
  readonly device: Device;
  readonly model: SubjectModel;
  readonly saes: readonly SubjectSae[];
  /** Token ids of held-out texts, which no autoencoder was trained on. */
  readonly texts: readonly Int32Array[];
  readonly contextLength: number;
  /**
   * Tokens at the start of each text that are neither counted nor replaced; default none. A model's first token may have
   * activations many times as large as all others (attention sinks), which dictionaries of others are often not trained on.
   */
  readonly skip?: number;
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
    /** Moments of the inputs, by site. */
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
   * Next-token cross-entropy in nats: unchanged, with the site's activations replaced by zeros, and by the reconstruction.
   */
  readonly lossClean: number;
  readonly lossZero: number;
  readonly lossSpliced: number;
  /** (zero - spliced) / (zero - clean); null when zeros do not change the loss. */
  readonly lossRecovered: number | null;
}

/** Measures autoencoders of one model. Throws `UnknownLayerError` and `DeviceError`. */
export async function measureSaes(options: QualityOptions): Promise<SaeQuality[]> {
  const { device, model, saes, texts, contextLength, skip = 0, known, onBatch } = options;
  const places = [...new Set(saes.map(hookOf))];
  const T = texts.reduce((longest, text) => Math.max(longest, Math.min(text.length, contextLength)), 2);
  const B = Math.max(1, Math.min(texts.length, 16, Math.floor(logitsLimit / (T * model.model.config.vocabSize))));
  const own: PlacedSae[] = [];
  const placed: PlacedSae[] = [];
  for (const { id, sae, placed: given } of saes) {
    const one = given ?? (await placeSae(device, `quality.${id}`, sae));
    placed.push(one);
    if (given === undefined) own.push(one);
  }
  const program = await compileSplicing(options, placed, places, [B, T]);
  const tally = new Tally(saes, places, known);
  while (tally.texts < texts.length) {
    const batch = texts.slice(tally.texts, tally.texts + B);
    await tally.add(program, batchOf(batch, [B, T], skip));
    await onBatch?.(tally.texts, () => tally.counts());
  }
  await program.dispose();
  await Promise.all(own.map(({ store }) => store.dispose()));
  return tally.result();
}

/** Upper bound on the number of logits of one batch. */
const logitsLimit = 2 ** 23;

/**
 * Compiles one program for all measurements of a model: an unchanged pass, which the autoencoders read, and for each site a
 * pass with its activations replaced by zeros and one for each of its autoencoders with the reconstructions. The device
 * computes what the passes share once: the layers below the site, and the features.
 */
function compileSplicing(
  { device, model: { model, stores = [] }, saes }: QualityOptions,
  placed: readonly PlacedSae[],
  places: readonly string[],
  [B, T]: readonly [number, number],
): Promise<Program> {
  requireLayers(
    saes.map(({ layer }) => layer),
    model.config,
  );
  const real = ops.input("real", [B * T, 1]);
  const outputs: Record<string, Node> = {};
  const splices: (Splice | undefined)[] = [];
  const read: ActivationEdit = (layerSite, activations) => {
    const place = hookOf(layerSite);
    const at = places.indexOf(place);
    if (at < 0) return activations;
    const x = ops.reshape(activations, [B * T, -1]);
    const kept = ops.mul(x, ops.affine(real, -1, 1));
    const replacedBy = (by: Node): Splice => ({ place, activations: ops.reshape(by, activations.shape) });
    Object.assign(outputs, inputStatistics(place, x, real));
    splices[at] = replacedBy(kept);
    for (const [own, sae] of saes.entries()) {
      const nodes = placed[own]?.nodes;
      if (hookOf(sae) !== place || nodes === undefined) continue;
      const features = encodeNode(x, nodes);
      const reconstruction = decodeNode(features, nodes);
      Object.assign(outputs, featureStatistics(sae.id, x, features, reconstruction, real));
      splices[places.length + own] = replacedBy(ops.add(kept, ops.mul(reconstruction, real)));
    }
    return activations;
  };
  const lossWith = (editActivations: ActivationEdit): Node => {
    const { hidden } = forward(model, { shape: [B, T], editActivations });
    const predicting = ops.reshape(ops.slice(hidden, 1, 0, T - 1), [B * (T - 1), -1]);
    const logProbs = ops.gatherLogProbs(logitsOf(model, predicting), ops.input("targets", [B * (T - 1)], "i32"));
    return ops.negate(ops.sum(ops.mul(logProbs, ops.input("weights", [B * (T - 1)]))));
  };
  outputs["loss.clean"] = lossWith(read);
  for (const [at, splice] of splices.entries())
    outputs[`loss.${at}`] = lossWith((layerSite, activations) =>
      hookOf(layerSite) === splice?.place ? splice.activations : activations,
    );
  // Frozen weights would be packed once more for every pass that reads them.
  const all = [model.store, ...stores, ...placed.map(({ store }) => store)];
  return device.compile({ stores: all, outputs });
}

/** The activations [B, T, D] that replace those of a site. */
interface Splice {
  readonly place: string;
  readonly activations: Node;
}

/** Over the non-padding places of x [P, D]: the mean [D], and the sums of squared distances from it and from zero. */
function inputStatistics(place: string, x: Node, real: Node): Record<string, Node> {
  const mean = ops.div(ops.sum(ops.mul(x, real), { axes: [0], keepDims: true }), ops.sum(real));
  return {
    [`mean.${place}`]: mean,
    [`variation.${place}`]: ops.sum(ops.mul(ops.square(ops.sub(x, mean)), real)),
    [`energy.${place}`]: ops.sum(ops.mul(ops.square(x), real)),
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

function batchOf(texts: readonly Int32Array[], shape: readonly [B: number, T: number], skip: number): Batch {
  const inputs = textBatch(texts, shape, () => 1);
  const [B, T] = shape;
  for (let b = 0; b < B; b++) inputs.real.fill(0, b * T, b * T + Math.min(skip, T));
  const sum = (values: Float32Array): number => values.reduce((a, b) => a + b, 0);
  return { texts: texts.length, inputs, tokens: sum(inputs.real), predictions: sum(inputs.weights) };
}

/** Accumulates the counts, in double precision. */
class Tally {
  readonly #saes: readonly SubjectSae[];
  /** The sites, by their hooks. */
  readonly #places: readonly string[];
  readonly #moments: ReadonlyMap<string, Moments>;
  readonly #sums: Map<string, number>;
  readonly #fired: ReadonlyMap<string, Float64Array>;
  #texts: number;
  #tokens: number;
  #predictions: number;

  constructor(saes: readonly SubjectSae[], places: readonly string[], known: QualityCounts = nothing) {
    this.#saes = saes;
    this.#places = places;
    this.#moments = new Map(places.map((place) => [place, Moments.fromState(known.moments[place] ?? none)]));
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
        Array.from(this.#moments, ([place, { state }]) => [place, { ...state, mean: [...state.mean] }]),
      ),
    };
  }

  async add(program: Program, { texts, inputs, tokens, predictions }: Batch): Promise<void> {
    this.#texts += texts;
    if (tokens === 0) return;
    const found = await program.run(inputs);
    this.#tokens += tokens;
    this.#predictions += predictions;
    this.#sum("clean", found["loss.clean"]);
    for (const place of this.#places) {
      this.#moments.get(place)?.add(tokens, found[`mean.${place}`] ?? [], found[`variation.${place}`]?.[0] ?? 0);
      this.#sum(`energy.${place}`, found[`energy.${place}`]);
    }
    for (const { id } of this.#saes) {
      this.#sum(`squares.${id}`, found[`squares.${id}`]);
      this.#sum(`featureSum.${id}`, found[`featureSum.${id}`]);
      const fired = this.#fired.get(id);
      for (const [feature, count] of found[`fired.${id}`]?.entries() ?? [])
        if (fired !== undefined) fired[feature] = (fired[feature] ?? 0) + count;
    }
    for (let at = 0; at < this.#places.length + this.#saes.length; at++) this.#sum(`loss.${at}`, found[`loss.${at}`]);
  }

  result(): SaeQuality[] {
    return this.#saes.map((one, at) => {
      const { id, sae } = one;
      const place = hookOf(one);
      const [n, squares] = [this.#tokens, this.#value(`squares.${id}`)];
      const fired = this.#fired.get(id) ?? new Float64Array();
      const l0 = fired.reduce((total, count) => total + count, 0) / n;
      const loss = (name: string): number => this.#value(name) / this.#predictions;
      const lossClean = loss("clean");
      const lossZero = loss(`loss.${this.#places.indexOf(place)}`);
      const lossSpliced = loss(`loss.${this.#places.length + at}`);
      return {
        id,
        tokens: n,
        l0,
        l1: this.#value(`featureSum.${id}`) / n,
        fve: 1 - squares / (this.#moments.get(place)?.variation ?? Number.NaN),
        meanSquaredError: squares / (n * sae.D),
        normalisedError: squares / this.#value(`energy.${place}`),
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
