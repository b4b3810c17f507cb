/** Gemma Scope (https://arxiv.org/abs/2408.05147; params.npz) and Gemma Scope 2 (config.json, params.safetensors): JumpReLU. */
import { join, resolve } from "node:path";
import { z } from "zod";
import { transposed } from "../../models/transpose.loops.ts";
import type { Sae } from "../sae.ts";
import { readConfigJson } from "./config-json.ts";
import { readNpz } from "./npz.ts";
import type { ForeignDictionary } from "./origin.ts";
import { readTensors, requireOnly, type Tensors, valuesOf } from "./tensors.ts";

/** The file says nothing of its place; folders of the release do: `gemma-scope-2b-pt-mlp`, `layer_20/width_16k/average_l0_71`. */
export async function readGemmaScope(folder: string): Promise<ForeignDictionary> {
  const path = join(folder, "params.npz");
  const sae = jumpRelu(await readNpz(path), "W_enc", "W_dec", path);
  const place = resolve(folder);
  const [, model, part] = /gemma-scope-(\w+-(?:pt|it))-(res|mlp|att)\b/.exec(place) ?? [];
  const [, layer] = /layer_(\d+)\b/.exec(place) ?? [];
  const [, l0] = /average_l0_(\d+)/.exec(place) ?? [];
  const hook = { res: "hook_resid_post", mlp: "hook_mlp_out", att: "attn.hook_z" }[part ?? ""];
  return {
    sae,
    origin: {
      format: "Gemma Scope",
      modelName: model === undefined ? undefined : `gemma-2-${model.replace(/-pt$/, "")}`,
      site: hook === undefined || layer === undefined ? undefined : `blocks.${layer}.${hook}`,
      l0: l0 === undefined ? undefined : Number(l0),
    },
  };
}

const schema = z.looseObject({
  architecture: z.literal("jump_relu"),
  type: z.literal("sae").default("sae"),
  affine_connection: z.literal(false).default(false),
  model_name: z.string().optional(),
  hf_hook_point_in: z.string(),
  l0: z.number().positive().optional(),
});

export async function readGemmaScope2(folder: string): Promise<ForeignDictionary> {
  const { model_name, hf_hook_point_in: site, l0 } = await readConfigJson(join(folder, "config.json"), schema);
  const path = join(folder, "params.safetensors");
  const sae = jumpRelu(await readTensors(path), "w_enc", "w_dec", path);
  return { sae, origin: { format: "Gemma Scope 2", modelName: model_name, site, l0 } };
}

function jumpRelu(tensors: Tensors, encoderName: string, decoderName: string, path: string): Sae {
  requireOnly(tensors, [encoderName, decoderName, "b_enc", "b_dec", "threshold"], path);
  const encoderBias = valuesOf(tensors, "b_enc", [-1], path);
  const decoderBias = valuesOf(tensors, "b_dec", [-1], path);
  const [D, F] = [decoderBias.length, encoderBias.length];
  return {
    D,
    F,
    activation: { kind: "jumprelu", threshold: valuesOf(tensors, "threshold", [F], path) },
    encoder: transposed(valuesOf(tensors, encoderName, [D, F], path), D, F),
    encoderBias,
    decoder: valuesOf(tensors, decoderName, [F, D], path),
    decoderBias,
  };
}
