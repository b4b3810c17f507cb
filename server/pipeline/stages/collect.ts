import { join } from "node:path";
import type { Device } from "../../engine/device.ts";
import { writeSafetensors } from "../../models/safetensors.ts";
import { FeatureCollection, rawActivations } from "../../probe/collect.ts";
import { tripleFeatures } from "../../probe/features.ts";
import type { Stage, StageContext } from "../../runs/stage.ts";
import { spansOf } from "../../tasks/contrast.ts";
import { readFloats } from "../artifacts/array-files.ts";
import { type Collected, spansFile, weightsFile } from "../artifacts/collected.ts";
import { collectAll } from "../artifacts/collecting.ts";
import { writeJson } from "../artifacts/json-files.ts";
import { loadModelAndTokenizer, withDevice } from "../artifacts/loading.ts";
import { prefixOf } from "../artifacts/token-ids.ts";
import { readTriples } from "../artifacts/triples.ts";
import { smallDictionaries } from "../features/small-dictionaries.ts";

export interface CollectSettings {
  /** The model whose autoencoders encode the activations. */
  readonly dictionaries: "base" | "tuned";
  readonly multiToken: "average" | "firstPiece";
  readonly prependBos: boolean;
}

type Context = StageContext<CollectSettings, "model" | "tokenizer" | "saes" | "triples">;

/** Runs a model over the triples and saves its features at the target words. */
export const collectStage: Stage<CollectSettings, "model" | "tokenizer" | "saes" | "triples"> = {
  name: "collect",
  codeVersion: 2,
  run: async (context) => {
    await withDevice(context, async (device) => {
      const collection = await openCollection(device, context);
      const { features, activations } = await collectAll(collection, context, readFloats);
      await write(context.output, { features: tripleFeatures(features), activations: tripleFeatures(activations) });
    });
  },
};

async function openCollection(
  device: Device,
  { input, settings }: Context,
): Promise<FeatureCollection<keyof Collected>> {
  const { model, tokenizer } = await loadModelAndTokenizer(device, input("model"), input("tokenizer"));
  const triples = await readTriples(input("triples"));
  const { layers, encoder: features } = await smallDictionaries(device, input("saes"), settings.dictionaries);
  const prefixIds = prefixOf({ prependBos: settings.prependBos, bosId: model.config.bosId });
  return new FeatureCollection(spansOf(triples), {
    device,
    model,
    tokenizer,
    layers,
    encoders: { features, activations: rawActivations(features) },
    multiToken: settings.multiToken,
    prefixIds,
  });
}

async function write(folder: string, { features, activations }: Collected): Promise<void> {
  const tensors = Object.entries({ features, activations }).map(([name, { rows }]) => ({
    name,
    dtype: "F32" as const,
    shape: [rows.rows, rows.columns],
    data: Float32Array.from(rows.data),
  }));
  await writeSafetensors(join(folder, weightsFile), tensors);
  await writeJson(folder, spansFile, {
    triples: features.triples,
    features: features.layers,
    activations: activations.layers,
  });
}
