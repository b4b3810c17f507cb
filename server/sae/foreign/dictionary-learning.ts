/** Dictionaries of dictionary_learning (https://github.com/saprmarks/dictionary_learning): ae.pt and config.json, by their class. */
import { join } from "node:path";
import { z } from "zod";
import { exists } from "../../common/exists.ts";
import { visibleLine } from "../../common/untrusted-text.ts";
import { transposed } from "../../models/transpose.loops.ts";
import { gatedOf } from "../activations.ts";
import { SaeFormatError } from "../errors.ts";
import { withoutInputBias } from "../normal-form.ts";
import type { Activation, Sae } from "../sae.ts";
import { readConfigJson } from "./config-json.ts";
import type { ForeignDictionary } from "./origin.ts";
import { requireOnly, type Tensors, valuesOf } from "./tensors.ts";
import { readTorchFile } from "./torch-file.ts";

type Read = (name: string, shape: readonly number[]) => Float32Array;

/** A class of the program: its tensors besides those of a form, and what becomes of them. */
interface DictionaryClass {
  /** Where encoder and decoder lie: in Linear modules ([F, D] and [D, F]), or as W_enc [D, F] and W_dec [F, D]. */
  readonly form: "modules" | "matrices";
  /** The encoder's bias, none for a gated one, and the decoder's. */
  readonly biases: readonly [encoder: string, decoder: string];
  readonly own: readonly string[];
  /** Tensors that decide nothing here. */
  readonly unused: readonly string[];
  readonly subtractsBias: boolean;
  readonly activation: (read: Read, F: number) => Activation;
}

const relu = (): Activation => ({ kind: "relu" });
/** BatchTopK reads with one threshold for all features; below zero, as before any training, it is a ReLU. */
const oneThreshold = (read: Read, F: number): Activation => {
  const [threshold = 0] = read("threshold", []);
  return { kind: "jumprelu", threshold: new Float32Array(F).fill(threshold) };
};

const classes: Readonly<Record<string, DictionaryClass>> = {
  AutoEncoder: {
    form: "modules",
    biases: ["encoder.bias", "bias"],
    own: [],
    unused: [],
    subtractsBias: true,
    activation: relu,
  },
  AutoEncoderNew: {
    form: "modules",
    biases: ["encoder.bias", "decoder.bias"],
    own: [],
    unused: [],
    subtractsBias: false,
    activation: relu,
  },
  AutoEncoderTopK: {
    form: "modules",
    biases: ["encoder.bias", "b_dec"],
    own: ["k"],
    unused: ["threshold"],
    subtractsBias: true,
    activation: (read) => ({ kind: "topk", k: read("k", [])[0] ?? 0 }),
  },
  BatchTopKSAE: {
    form: "modules",
    biases: ["encoder.bias", "b_dec"],
    own: ["threshold"],
    unused: ["k"],
    subtractsBias: true,
    activation: oneThreshold,
  },
  MatryoshkaBatchTopKSAE: {
    form: "matrices",
    biases: ["b_enc", "b_dec"],
    own: ["threshold"],
    unused: ["k", "group_sizes"],
    subtractsBias: true,
    activation: oneThreshold,
  },
  JumpReluAutoEncoder: {
    form: "matrices",
    biases: ["b_enc", "b_dec"],
    own: ["threshold"],
    unused: [],
    subtractsBias: false,
    activation: (read, F) => ({ kind: "jumprelu", threshold: read("threshold", [F]) }),
  },
  GatedAutoEncoder: {
    form: "modules",
    biases: ["gate_bias", "decoder_bias"],
    own: ["r_mag", "mag_bias"],
    unused: [],
    subtractsBias: true,
    activation: (read, F) =>
      gatedOf({ r_mag: read("r_mag", [F]), b_mag: read("mag_bias", [F]), b_gate: read("gate_bias", [F]) }),
  },
};

const schema = z.looseObject({
  trainer: z.looseObject({
    dict_class: z.string(),
    lm_name: z.string().nullish(),
    submodule_name: z.string().nullish(),
  }),
});

/** The kind is what config.json calls `dict_class`: the tensors alone do not tell TopK from ReLU with a spare number. */
export async function readDictionaryLearning(folder: string): Promise<ForeignDictionary> {
  const configPath = join(folder, "config.json");
  if (!(await exists(configPath)))
    throw new SaeFormatError(
      `${folder} has no config.json, whose trainer.dict_class says what kind ae.pt is; copy it there`,
    );
  const { trainer } = await readConfigJson(configPath, schema);
  const kind = Object.hasOwn(classes, trainer.dict_class) ? classes[trainer.dict_class] : undefined;
  if (kind === undefined)
    throw new SaeFormatError(
      `${configPath}: dict_class is '${visibleLine(trainer.dict_class, 60)}'; expected one of ${Object.keys(classes).join(", ")}`,
    );
  const path = join(folder, "ae.pt");
  const sae = saeOf(kind, await readTorchFile(path), path);
  const l0 = sae.activation.kind === "topk" ? sae.activation.k : undefined;
  return {
    sae,
    origin: {
      format: "dictionary_learning",
      modelName: trainer.lm_name ?? undefined,
      site: trainer.submodule_name ?? undefined,
      l0,
    },
  };
}

function saeOf(kind: DictionaryClass, tensors: Tensors, path: string): Sae {
  const { form, biases, own, unused, subtractsBias, activation } = kind;
  const [encoderName, decoderName] = form === "modules" ? ["encoder.weight", "decoder.weight"] : ["W_enc", "W_dec"];
  requireOnly(tensors, [encoderName, decoderName, ...biases, ...own, ...unused], path);
  const read: Read = (name, shape) => valuesOf(tensors, name, shape, path);
  const encoderBias = read(biases[0], [-1]);
  const decoderBias = read(biases[1], [-1]);
  const [D, F] = [decoderBias.length, encoderBias.length];
  const isTurned = form === "matrices";
  const sae: Sae = {
    D,
    F,
    activation: activation(read, F),
    encoder: isTurned ? transposed(read(encoderName, [D, F]), D, F) : read(encoderName, [F, D]),
    encoderBias,
    decoder: isTurned ? read(decoderName, [F, D]) : transposed(read(decoderName, [D, F]), D, F),
    decoderBias,
  };
  if (
    sae.activation.kind === "topk" &&
    !(Number.isInteger(sae.activation.k) && sae.activation.k >= 1 && sae.activation.k <= F)
  )
    throw new SaeFormatError(
      `${path}: k is ${sae.activation.k}; expected a whole number from 1 to ${F}, the number of features`,
    );
  return subtractsBias ? withoutInputBias(sae) : sae;
}
