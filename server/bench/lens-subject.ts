/** A subject for the lens without a run: a random model, random dictionaries on its last layers, and a random probe. */
import { centredForm } from "../common/centred-form.loops.ts";
import { starterFolder } from "../common/package-root.ts";
import { Random } from "../common/random.ts";
import type { Device } from "../engine/device.ts";
import * as ops from "../engine/ops.ts";
import { LensMissingError } from "../lens/errors.ts";
import { preferenceReader } from "../lens/preference-reader.ts";
import type { LensDictionary, LensFamiliarity, LensProbe, LensSubject } from "../lens/subject.ts";
import { createModel } from "../models/checkpoint.ts";
import { forward, type Model, plainPositions } from "../models/model.ts";
import { loadTokenizer } from "../models/tokenizer.ts";
import type { RunInfo } from "../protocol/lens-state.ts";
import { vaderRatings, vaderReward } from "../rewards/vader.ts";
import { encodeNode } from "../sae/graph.ts";
import { placeSae } from "../sae/inference.ts";
import { unitRows } from "../sae/sae.ts";
import { type BenchShape, benchShapes } from "./shapes.ts";

/** Number of layers that the paper studies. */
const studied = 5;
/**
 * Share of a dictionary's features that are active at a token, similar to the starter's run (Table 7 of its report:
 * 18.9 %): normal random numbers exceed 0.88 times their standard deviation that often.
 */
const activeShare = 0.19;
const activeFrom = 0.878;

export function randomLensSubject(device: Device, shape: BenchShape): Promise<LensSubject> {
  return lensSubjectOf(device, benchShapes[shape]);
}

/** The same for a model of any config.json; `features` of each layer, by default as many as the model is wide. */
export async function lensSubjectOf(
  device: Device,
  configJson: Readonly<Record<string, unknown>>,
  features?: number,
): Promise<LensSubject> {
  const random = Random.fromSeed(1);
  const tuned = await createModel(device, configJson, random, 0.05);
  const { width: D, layers: depth } = tuned.config;
  const F = features ?? D;
  const layers = Array.from({ length: depth }, (_, layer) => layer).slice(-studied);
  const small = new Map<number, LensDictionary>();
  const sizes = await outputSizes(device, tuned, random);
  for (const layer of layers)
    small.set(layer, await randomDictionary(device, { layer, D, F }, sizes[layer] ?? 1, random));
  const missing = (what: string) => async (): Promise<never> => {
    throw new LensMissingError(`a benchmark has no ${what}`);
  };
  const ratings = vaderRatings({ lexicon: "head" });
  const info: RunInfo = {
    kind: "run",
    runFolder: "",
    runName: "random",
    dictionaries: null,
    task: "sentiment",
    modelType: tuned.config.modelType,
    layers,
    features: F * layers.length,
    device: device.description,
    hasTrueReward: true,
    hasFamiliarity: true,
    hasBase: false,
    hasFitted: false,
    beta: null,
    hasFeatureStore: false,
    calibration: null,
  };
  return {
    info,
    device,
    tokenizer: await loadTokenizer(starterFolder()),
    prefixIds: [0],
    tuned,
    base: missing("base model"),
    probe: randomProbe(layers, F, random),
    dictionaries: async ({ model, size }) =>
      model === "tuned" && size === "small" ? small : await missing("other dictionaries")(),
    reward: async () => vaderReward({ lexicon: "head" }, "completion"),
    ratings,
    preferences: preferenceReader({ prefixIds: [0], contextLength: tuned.config.contextLength, end: "" }),
    evidence: {
      kind: "regression",
      seenInTuning: () => undefined,
      signAccuracy: { positive: null, negative: null },
      tau: null,
      typicalSize: 1,
      typicalRating: ratings.typicalSize,
    },
    lexicon: undefined,
    wordFolds: undefined,
    fitted: undefined,
    multiToken: "average",
    familiarity: { leverage: randomLeverage(F * layers.length, random), limit: 1 },
    onCpu: undefined,
    close: async () => {
      for (const store of [tuned.store, ...[...small.values()].map((dictionary) => dictionary.store)])
        await store.dispose();
    },
  };
}

function randomProbe(layers: readonly number[], F: number, random: Random): LensProbe {
  return {
    layers: layers.map((layer, index) => ({ layer, start: index * F, end: (index + 1) * F })),
    weights: new Float32Array(F * layers.length).map(() => random.normal()),
    intercept: 0.5,
    outputScale: null,
  };
}

/** Root mean square of every layer's MLP outputs, on random tokens. */
async function outputSizes(device: Device, model: Model, random: Random): Promise<number[]> {
  const shape = [1, 64] as const;
  const { layers } = forward(model, { shape });
  const outputs = Object.fromEntries(
    layers.map(({ activations }, layer) => [`${layer}`, ops.mean(ops.square(activations["mlp-output"]))] as const),
  );
  const program = await device.compile({ stores: [model.store], outputs });
  const ids = new Int32Array(64).map(() => random.integer(model.config.vocabSize));
  const results = await program.run({ ids, positions: plainPositions(shape) });
  await program.dispose();
  return layers.map((_, layer) => Math.sqrt(results[`${layer}`]?.[0] ?? 0));
}

/**
 * A random leverage. Any symmetric matrix takes as long; this one is of the size of a probe's fitted on a thousand
 * triples.
 */
function randomLeverage(F: number, random: Random): LensFamiliarity["leverage"] {
  const packed = new Float32Array((F * (F + 1)) / 2).map(() => 1e-6 * random.normal());
  for (let f = 0; f < F; f++) packed[(f * (f + 3)) / 2] = 1e-3;
  return centredForm(
    packed,
    new Float32Array(F).map(() => activeShare * random.uniform()),
  );
}

/** `outputSize`: root mean square of its input. */
async function randomDictionary(
  device: Device,
  { layer, D, F }: { readonly layer: number; readonly D: number; readonly F: number },
  outputSize: number,
  random: Random,
): Promise<LensDictionary> {
  const decoder = unitRows(
    new Float32Array(F * D).map(() => random.normal()),
    D,
  );
  const encoderBias = new Float32Array(F).fill(-activeFrom * outputSize);
  const biases = { encoderBias, decoderBias: new Float32Array(D) };
  const sae = { D, F, activation: { kind: "relu" } as const, encoder: decoder, decoder, ...biases };
  const { store, nodes } = await placeSae(device, `small.${layer}`, sae);
  return { layer, site: "mlp-output", features: F, store, encode: (x) => encodeNode(x, nodes), decoder: nodes.decoder };
}
