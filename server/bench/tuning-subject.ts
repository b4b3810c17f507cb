/** What the benchmarks of tunings tune. */
import { Random } from "../common/random.ts";
import type { Device } from "../engine/device.ts";
import { createModel, type LoadedModel, loadModel } from "../models/checkpoint.ts";
import type { Tokenizer } from "../models/tokenizer.ts";
import { numberTokenizer } from "./number-tokenizer.ts";
import { benchShapes } from "./shapes.ts";

/** A checkpoint's folder, or the shape of Pythia-70m with random weights. */
export type TunedModel = { readonly folder: string; readonly name: string } | "pythia-70m";

/** The input of a tuner as far as models go. */
export interface TuningSubject {
  readonly device: Device;
  readonly reference: LoadedModel;
  readonly loadPolicy: () => Promise<LoadedModel>;
  /** Texts are the ids themselves. */
  readonly tokenizer: Tokenizer;
}

export async function openSubject(device: Device, model: TunedModel): Promise<TuningSubject> {
  const load = (isTrained: boolean): Promise<LoadedModel> =>
    model === "pythia-70m"
      ? createModel(device, benchShapes["pythia-70m"], Random.fromSeed(2))
      : loadModel(device, model.folder, { isTrained });
  const reference = await load(false);
  const { vocabSize, eosIds } = reference.config;
  return {
    device,
    reference,
    loadPolicy: () => load(true),
    tokenizer: numberTokenizer(vocabSize, eosIds[0]),
  };
}

/** The name of a model in figures. */
export function nameOf(model: TunedModel): string {
  return model === "pythia-70m" ? "pythia-70m-shape" : model.name;
}
