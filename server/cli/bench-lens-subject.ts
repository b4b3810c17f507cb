/** Something to look through without a run: a random model, random dictionaries on its last layers, and a random probe. */

import { starterFolder } from "../common/package-root.ts";
import { Random } from "../common/random.ts";
import type { Device } from "../engine/device.ts";
import { LensMissingError } from "../lens/errors.ts";
import type { LensDictionary, LensSubject } from "../lens/subject.ts";
import { createModel } from "../models/checkpoint.ts";
import { loadTokenizer } from "../models/tokenizer.ts";
import { rewardRange } from "../probe/deltas.ts";
import { vaderRewardFunction } from "../rewards/vader.ts";
import { encodeNode } from "../sae/graph.ts";
import { placeSae } from "../sae/inference.ts";
import { unitRows } from "../sae/sae.ts";
import { type BenchShape, benchShapes } from "./bench-shapes.ts";

/** Layers that the paper studies. */
const studied = 5;

export async function randomLensSubject(device: Device, shape: BenchShape): Promise<LensSubject> {
  const random = Random.fromSeed(1);
  const tuned = await createModel(device, benchShapes[shape], random, 0.05);
  const { width: D, layers: depth } = tuned.config;
  const layers = Array.from({ length: depth }, (_, layer) => layer).slice(-studied);
  const small = new Map<number, LensDictionary>();
  for (const layer of layers) small.set(layer, await randomDictionary(device, layer, D, random));
  const missing = (what: string) => async (): Promise<never> => {
    throw new LensMissingError(`a benchmark has no ${what}`);
  };
  const info = {
    runFolder: "",
    runName: "random",
    task: "sentiment",
    modelType: tuned.config.modelType,
    layers,
    features: D * layers.length,
    device: device.description,
    hasTrueReward: true,
    hasFamiliarity: false,
    hasBase: false,
    hasFeatureStore: false,
  };
  return {
    info,
    device,
    tokenizer: await loadTokenizer(starterFolder()),
    prefixIds: [0],
    tuned,
    base: missing("base model"),
    probe: {
      layers: layers.map((layer, index) => ({ layer, start: index * D, end: (index + 1) * D })),
      weights: new Float32Array(D * layers.length).map(() => random.normal()),
      intercept: 0.5,
      outputScale: null,
      rewardRange,
    },
    dictionaries: async ({ model, size }) =>
      model === "tuned" && size === "small" ? small : await missing("other dictionaries")(),
    reward: vaderRewardFunction({ lexicon: "head" }),
    evidence: {
      seenInTuning: () => undefined,
      signAccuracy: { positive: null, negative: null },
      tau: null,
      typicalSize: 1,
    },
    // Half of a random dictionary's features are active at a token, a few in a hundred of a trained one's: leverages would take what they never do.
    familiarity: undefined,
    onCpu: undefined,
    close: async () => {
      for (const store of [tuned.store, ...[...small.values()].map((dictionary) => dictionary.store)])
        await store.dispose();
    },
  };
}

async function randomDictionary(device: Device, layer: number, D: number, random: Random): Promise<LensDictionary> {
  const decoder = unitRows(
    new Float32Array(D * D).map(() => random.normal()),
    D,
  );
  const biases = { encoderBias: new Float32Array(D), decoderBias: new Float32Array(D) };
  const sae = { D, F: D, activation: { kind: "relu" } as const, encoder: decoder, decoder, ...biases };
  const { store, nodes } = await placeSae(device, `small.${layer}`, sae);
  return { layer, features: D, store, encode: (x) => encodeNode(x, nodes), decoder: nodes.decoder };
}
