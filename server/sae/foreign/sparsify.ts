/** Sparse coders of sparsify (https://github.com/EleutherAI/sparsify): a folder for each module, named after it. */
import { basename, join, resolve } from "node:path";
import { z } from "zod";
import { SaeFormatError } from "../errors.ts";
import { withoutInputBias } from "../normal-form.ts";
import { readConfigJson } from "./config-json.ts";
import type { ForeignDictionary } from "./origin.ts";
import { readTensors, requireOnly, valuesOf } from "./tensors.ts";

const schema = z.looseObject({
  activation: z.literal("topk").default("topk"),
  k: z.int().positive(),
  d_in: z.int().positive(),
  skip_connection: z.literal(false).default(false),
  transcode: z.literal(false).default(false),
});

export async function readSparsify(folder: string): Promise<ForeignDictionary> {
  const { k, d_in: D } = await readConfigJson(join(folder, "cfg.json"), schema);
  const path = join(folder, "sae.safetensors");
  const tensors = await readTensors(path);
  requireOnly(tensors, ["encoder.weight", "encoder.bias", "W_dec", "b_dec"], path);
  const encoderBias = valuesOf(tensors, "encoder.bias", [-1], path);
  const F = encoderBias.length;
  if (k > F) throw new SaeFormatError(`${folder}: k is ${k}, but the dictionary has ${F} features`);
  const sae = withoutInputBias({
    D,
    F,
    activation: { kind: "topk", k },
    encoder: valuesOf(tensors, "encoder.weight", [F, D], path),
    encoderBias,
    decoder: valuesOf(tensors, "W_dec", [F, D], path),
    decoderBias: valuesOf(tensors, "b_dec", [D], path),
  });
  return { sae, origin: { format: "sparsify", modelName: undefined, site: basename(resolve(folder)), l0: k } };
}
