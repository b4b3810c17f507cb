/**
 * Autoencoders on disk, as SAELens (6 and later) reads them: a folder with cfg.json and sae_weights.safetensors. Letters: D width,
 * F features; SAELens calls them d_in and d_sae and keeps the encoder as [D, F].
 */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { writeFileAtomically } from "../common/atomic-file.ts";
import { invariant, messageOf } from "../common/errors.ts";
import { parseJson } from "../common/json.ts";
import { schemaProblems } from "../common/schema-problems.ts";
import { readTextFile } from "../common/text-file.ts";
import { visibleLine } from "../common/untrusted-text.ts";
import { openSafetensors, type TensorSource, writeSafetensors } from "../models/safetensors.ts";
import { hookOf, type LayerSite, siteNames, siteOfHook } from "../models/sites.ts";
import { transposed } from "../models/transpose.loops.ts";
import { activationRule, architectures, ruleOfArchitecture } from "./activations.ts";
import { SaeFormatError } from "./errors.ts";
import { unitDecoder, withoutInputBias } from "./normal-form.ts";
import type { Sae } from "./sae.ts";

/** Origin of an autoencoder's activations, for SAELens and for people. */
export interface SaeMetadata extends LayerSite {
  /** The model's name in TransformerLens (`pythia-70m`), or any other name. */
  readonly modelName: string;
  /** The module of transformers' model whose output it encodes, such as `gpt_neox.layers.3.mlp`. */
  readonly module: string;
  readonly contextLength: number;
  /** Whether a begin-of-text token preceded the training texts. */
  readonly prependBos: boolean;
  /** Source of the texts; null if it has no name. */
  readonly dataset: string | null;
  /** Further facts to keep in the file: run, stage, seed, tuned or base. */
  readonly extra?: Readonly<Record<string, string | number | boolean | null>>;
}

/** An autoencoder as read from disk. Its decoder's rows have length one if they had when it was saved; ours have. */
export interface SavedSae {
  readonly sae: Sae;
  /** As in the file. */
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** The SAELens version whose format this is; readers treat a file without a version, or below 6, as an older format. */
const saeLensVersion = "6.18.0";
const configFile = "cfg.json";
const weightsFile = "sae_weights.safetensors";

/**
 * Saves an autoencoder into `folder`, creating it if needed. Writes cfg.json last: a folder that has it is complete.
 */
export async function saveSae(folder: string, sae: Sae, metadata: SaeMetadata): Promise<void> {
  const { D, F, activation } = sae;
  const rule = activationRule(activation);
  const own = rule.file.valuesOf(activation, sae.encoderBias);
  await mkdir(folder, { recursive: true });
  await writeSafetensors(join(folder, weightsFile), [
    { name: "W_enc", dtype: "F32", shape: [D, F], data: transposed(sae.encoder, F, D) },
    { name: rule.file.bias, dtype: "F32", shape: [F], data: sae.encoderBias },
    { name: "W_dec", dtype: "F32", shape: [F, D], data: sae.decoder },
    { name: "b_dec", dtype: "F32", shape: [D], data: sae.decoderBias },
    ...rule.file.tensors.map((name) => ({
      name,
      dtype: "F32" as const,
      shape: [F],
      data: own[name] ?? new Float32Array(),
    })),
  ]);
  const config = JSON.stringify(configOf(sae, metadata), undefined, 2);
  await writeFileAtomically(join(folder, configFile), `${config}\n`);
}

/** Reads an autoencoder of a run, with the site that it encodes. Throws what `readSae` throws. */
export async function loadSae(folder: string): Promise<SavedSae & Pick<LayerSite, "site">> {
  const saved = await readSae(folder);
  const hook = String(saved.metadata["hook_name"]);
  const place = siteOfHook(hook);
  if (place === undefined)
    throw new SaeFormatError(
      `${join(folder, configFile)}: hook_name is '${visibleLine(hook, 100)}'; expected one of ${siteNames.map((site) => hookOf({ layer: 0, site })).join(", ")}, or of another layer`,
    );
  return { ...saved, site: place.site };
}

/**
 * Reads an autoencoder that `saveSae` or SAELens saved: one of the architectures in activations.ts, without input
 * normalisation. A bias that SAELens subtracts from the input becomes part of the encoder's, and a decoder whose norms
 * SAELens takes into the features gets rows of length one; both change rounding alone. Throws `SaeFormatError` and what
 * `openSafetensors` throws.
 */
export async function readSae(folder: string): Promise<SavedSae> {
  const path = join(folder, configFile);
  const config = await readConfig(path);
  const { d_in: D, d_sae: F } = config;
  const rule = ruleOfArchitecture(config.architecture);
  invariant(rule !== undefined, `no rule reads the architecture ${config.architecture}`);
  const { bias, tensors } = rule.file;
  const ownShapes = Object.fromEntries(tensors.map((name) => [name, [F]]));
  await using weights = await openSafetensors(join(folder, weightsFile));
  checkTensors(weights, { W_enc: [D, F], [bias]: [F], W_dec: [F, D], b_dec: [D], ...ownShapes });
  const read = (name: string): Promise<Float32Array> => weights.readFloat32(name, { requireFinite: true });
  const own: Record<string, Float32Array> = {};
  for (const name of tensors) own[name] = await read(name);
  const encoder = transposed(await read("W_enc"), D, F);
  const decoder = await read("W_dec");
  const encoderBias = await read(bias);
  const stored: Sae = {
    D,
    F,
    activation: parsed(path, () => rule.file.read(config, own, encoderBias)),
    encoder: equal(encoder, decoder) ? decoder : encoder,
    encoderBias,
    decoder,
    decoderBias: await read("b_dec"),
  };
  const centred = config.apply_b_dec_to_input ? withoutInputBias(stored) : stored;
  return {
    sae: config.rescale_acts_by_decoder_norm ? unitDecoder(centred, centred.activation) : centred,
    metadata: config.metadata,
  };
}

function configOf({ D, F, activation }: Sae, metadata: SaeMetadata): Record<string, unknown> {
  const { file } = activationRule(activation);
  return {
    architecture: file.architecture,
    ...file.write(activation),
    d_in: D,
    d_sae: F,
    dtype: "float32",
    device: "cpu",
    // SAELens's default for a missing value is true.
    apply_b_dec_to_input: false,
    normalize_activations: "none",
    reshape_activations: "none",
    metadata: {
      ...metadata.extra,
      sae_lens_version: saeLensVersion,
      sae_lens_training_version: null,
      model_name: metadata.modelName,
      hook_name: hookOf(metadata),
      hf_hook_name: metadata.module,
      hook_head_index: null,
      model_class_name: "HookedTransformer",
      // Otherwise TransformerLens centres the weights that write to the residual stream, and with them the activations
      // that the autoencoder encodes.
      model_from_pretrained_kwargs: { center_writing_weights: false },
      prepend_bos: metadata.prependBos,
      context_size: metadata.contextLength,
      dataset_path: metadata.dataset,
      neuronpedia_id: null,
    },
  };
}

const size = z.int().positive();
/** The members that every architecture has; the architecture's rule reads the others. */
const configSchema = z.looseObject({
  architecture: z.string().refine((name) => ruleOfArchitecture(name) !== undefined, {
    error: ({ input }) => `is ${String(input)}; expected one of ${architectures().join(", ")}`,
  }),
  d_in: size,
  d_sae: size,
  apply_b_dec_to_input: z.boolean().default(true),
  rescale_acts_by_decoder_norm: z.boolean().default(false),
  normalize_activations: z.literal("none").default("none"),
  reshape_activations: z.literal("none").default("none"),
  metadata: z.record(z.string(), z.unknown()),
});

async function readConfig(path: string): Promise<z.infer<typeof configSchema>> {
  let json: unknown;
  try {
    json = parseJson(await readTextFile(path, "config"));
  } catch (cause) {
    throw new SaeFormatError(
      `${path} cannot be read (${messageOf(cause)}): a saved autoencoder is a folder with cfg.json and ${weightsFile}`,
      { cause },
    );
  }
  return parsed(path, () => configSchema.parse(modernForm(json)));
}

/** What SAELens before 6 had beside the settings of the autoencoder, and has as its metadata since. */
const origin = [
  "model_name",
  "hook_name",
  "hook_layer",
  "prepend_bos",
  "context_size",
  "dataset_path",
  "neuronpedia_id",
  "model_from_pretrained_kwargs",
];

/** cfg.json as SAELens 6 writes it, from one of an earlier version. */
function modernForm(json: unknown): unknown {
  const parsedJson = z.looseObject({ hook_name: z.string(), metadata: z.undefined().optional() }).safeParse(json);
  if (!parsedJson.success) return json;
  const { activation_fn_str, activation_fn_kwargs, normalize_activations, ...config } = parsedJson.data;
  const topk = z.object({ k: z.int() }).safeParse(activation_fn_kwargs);
  const isTopK = [activation_fn_str, config["activation_fn"]].includes("topk") && topk.success;
  return {
    ...config,
    architecture: isTopK ? "topk" : (config["architecture"] ?? "standard"),
    ...(isTopK ? { k: topk.data.k } : {}),
    normalize_activations: normalize_activations || "none",
    metadata: Object.fromEntries(origin.flatMap((name) => (name in config ? [[name, config[name]]] : []))),
  };
}

/** Runs `read`, and throws `SaeFormatError` where it finds cfg.json malformed. */
function parsed<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof z.ZodError)) throw cause;
    throw new SaeFormatError(`${path}: ${schemaProblems(cause)}`, { cause });
  }
}

function checkTensors({ path, tensors }: TensorSource, expected: Readonly<Record<string, readonly number[]>>): void {
  for (const [name, shape] of Object.entries(expected)) {
    const found = tensors.get(name)?.shape;
    if (found?.join() !== shape.join())
      throw new SaeFormatError(
        `${path}: tensor '${name}' is ${found === undefined ? "missing" : `[${found}]`}; cfg.json asks for [${shape}]`,
      );
  }
  const unknown = [...tensors.keys()].find((name) => !Object.hasOwn(expected, name));
  if (unknown !== undefined)
    throw new SaeFormatError(`${path}: tensor '${unknown}' belongs to no part of this kind of autoencoder`);
}

function equal(a: Float32Array, b: Float32Array): boolean {
  return Buffer.compare(bytesOf(a), bytesOf(b)) === 0;
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
