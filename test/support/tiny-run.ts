/** A finished run of random parts, made in about a second: everything that a lens opens, as the pipeline lays it out. */
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { starterFolder } from "../../server/common/package-root.ts";
import { Random } from "../../server/common/random.ts";
import { createCpuDevice } from "../../server/engine/cpu/device.ts";
import type { Device } from "../../server/engine/device.ts";
import { createModel, loadModel, saveModel } from "../../server/models/checkpoint.ts";
import { loadTokenizer } from "../../server/models/tokenizer.ts";
import { readTexts } from "../../server/pipeline/data/texts.ts";
import { collectFeatures } from "../../server/probe/collect.ts";
import { LogRatioCollection } from "../../server/probe/collect-log-ratio.ts";
import { type TripleFeatures, tripleFeatures } from "../../server/probe/features.ts";
import { saveProbe } from "../../server/probe/format.ts";
import type { LinearProbe } from "../../server/probe/linear-probe.ts";
import { evaluateProbe } from "../../server/probe/regression.ts";
import { defaultProbeSettings } from "../../server/probe/report-types.ts";
import type { WordFolds } from "../../server/probe/word-folds.ts";
import { vaderRatings } from "../../server/rewards/vader.ts";
import { saveSae } from "../../server/sae/format.ts";
import { encodeNode } from "../../server/sae/graph.ts";
import { placeSae } from "../../server/sae/inference.ts";
import { type Sae, unitRows } from "../../server/sae/sae.ts";
import { spansOf } from "../../server/tasks/contrast.ts";
import { sentimentTask } from "../../server/tasks/sentiment/sentiment-task.ts";
import type { Triple } from "../../server/tasks/task.ts";

export interface TinyRun {
  readonly folder: string;
  readonly layers: readonly number[];
  readonly triples: readonly Triple[];
  /** What the probe was fitted on. */
  readonly features: TripleFeatures;
  readonly probe: LinearProbe;
  readonly wordFolds: WordFolds;
}

const shape = { D: 16, small: 24, big: 40, layers: [0, 1] } as const;

const configJson = {
  model_type: "gpt_neox",
  vocab_size: 4096,
  hidden_size: shape.D,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 32,
  hidden_act: "gelu",
  rotary_pct: 0.25,
  rotary_emb_base: 10_000,
  max_position_embeddings: 64,
  layer_norm_eps: 1e-5,
  use_parallel_residual: true,
  bos_token_id: 0,
  eos_token_id: 0,
};

/** Makes `<root>/runs/tiny`, with its base model in `<root>/base`. `normalise` is the probe's. */
export async function makeTinyRun(root: string, normalise: "deltas" | "predictions" = "deltas"): Promise<TinyRun> {
  const folder = join(root, "runs", "tiny");
  const device = await createCpuDevice({ threads: 1 });
  try {
    for (const [place, seed] of [
      [join(root, "base"), 1],
      [join(folder, "tuned"), 2],
    ] as const) {
      await saveModel(await createModel(device, configJson, Random.fromSeed(seed), 0.3), place);
      for (const name of ["tokenizer.json", "tokenizer_config.json"])
        await copyFile(join(starterFolder(), name), join(place, name));
    }
    const experiment = { preset: "quick", name: "tiny", model: join(root, "base") };
    await writeFile(join(folder, "experiment.json"), JSON.stringify(experiment));
    const small = await makeDictionaries(folder);
    return { folder, layers: shape.layers, ...(await fitProbe(device, folder, small, normalise)) };
  } finally {
    await device.close();
  }
}

async function makeDictionaries(folder: string): Promise<Map<number, Sae>> {
  const random = Random.fromSeed(3);
  const small = new Map<number, Sae>();
  for (const model of ["base", "tuned"]) {
    for (const layer of shape.layers) {
      for (const F of [shape.small, shape.big]) {
        const decoder = unitRows(
          new Float32Array(F * shape.D).map(() => random.normal()),
          shape.D,
        );
        const sae: Sae = {
          D: shape.D,
          F,
          activation: { kind: "relu" },
          encoder: decoder,
          encoderBias: new Float32Array(F).fill(-0.1),
          decoder,
          decoderBias: new Float32Array(shape.D).map(() => 0.1 * random.normal()),
        };
        const place = join(folder, "sae", model, `${layer}`, `${F}`);
        await mkdir(place, { recursive: true });
        await saveSae(place, sae, {
          modelName: "tiny",
          layer,
          site: "mlp-output",
          module: `tiny.${layer}.mlp`,
          contextLength: 64,
          prependBos: true,
          dataset: null,
        });
        if (model === "tuned" && F === shape.small) small.set(layer, sae);
      }
    }
  }
  return small;
}

async function fitProbe(
  device: Device,
  folder: string,
  small: ReadonlyMap<number, Sae>,
  normalise: "deltas" | "predictions",
): Promise<Pick<TinyRun, "triples" | "features" | "probe" | "wordFolds">> {
  const tokenizer = await loadTokenizer(join(folder, "tuned"));
  const model = await loadModel(device, join(folder, "tuned"));
  const texts = (await readTexts(join(starterFolder(), "reviews.jsonl"), { field: "text" })).slice(0, 800);
  const task = sentimentTask(vaderRatings({ lexicon: "head" }));
  const sources = texts.map(({ row, text }) => ({ id: `reviews/${row}`, text }));
  const { triples } = await task.makeTriples(sources, { seed: 1, tokenizer, limit: 60 });
  const placed = new Map<number, Awaited<ReturnType<typeof placeSae>>>();
  for (const [layer, sae] of small) placed.set(layer, await placeSae(device, `small.${layer}`, sae));
  const { features: read } = await collectFeatures(spansOf(triples), {
    device,
    model,
    tokenizer,
    layers: shape.layers,
    multiToken: "average",
    encoders: {
      features: {
        stores: [...placed.values()].map(({ store }) => store),
        siteAt: () => "mlp-output",
        encode: (layer, output) => {
          const found = placed.get(layer);
          if (found === undefined) throw new TypeError(`no dictionary on layer ${layer}`);
          return encodeNode(output, found.nodes);
        },
      },
    },
    prefixIds: [0],
  });
  const features = tripleFeatures(read);
  const settings = {
    ...defaultProbeSettings,
    normalise,
    resamples: 2,
    permutations: 3,
    xavierSeeds: 1,
    labelShuffles: 1,
    foldDraws: 1,
    refits: 3,
  };
  const counts = new Map([["wonderful", 7]]);
  const data = { triples, ratings: task.ratings, features, tuningCounts: counts };
  const evaluated = await evaluateProbe(data, settings);
  const { probe, wordFolds } = evaluated;
  await saveProbe(join(folder, "probe"), { ...evaluated, about: { task: "sentiment" } });
  const base = await loadModel(device, join(folder, "..", "..", "base"), { prefix: "base." });
  const collection = new LogRatioCollection(spansOf(triples), {
    device,
    pair: { tuned: model, base },
    tokenizer,
    prefixIds: [0],
  });
  while (await collection.step());
  const fitted = await evaluateProbe(
    { ...data, logRatios: await collection.finish() },
    { ...settings, target: "logRatio", labelShuffles: 0, xavierSeeds: 0 },
  );
  await saveProbe(join(folder, "fitted"), { ...fitted, about: { task: "sentiment" } });
  return { triples, features, probe, wordFolds };
}
