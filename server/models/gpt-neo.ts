/** GPT-Neo: Black et al. 2021, https://doi.org/10.5281/zenodo.5297715; names and order as in transformers. */
import { z } from "zod";
import type { Node } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import {
  type Architecture,
  attention,
  type BaseConfig,
  type ForwardContext,
  type LayerResult,
  type ModelParameter,
  type ModelPart,
  splitHeads,
} from "./architecture.ts";
import {
  type Attended,
  embeddingTable,
  joinMlp,
  layerNorm,
  layerNormParameters,
  linearBias,
  linearWeight,
  ownHead,
  throughLayers,
} from "./blocks.ts";
import {
  activation,
  count,
  epsilon,
  headDimension,
  layerCount,
  refuseUnread,
  requireSame,
  specialIds,
  tokenId,
  tokenIds,
} from "./config-fields.ts";
import { ConfigError } from "./errors.ts";

export interface GptNeoConfig extends BaseConfig {
  readonly modelType: "gpt_neo";
  readonly mlpWidth: number;
  readonly activation: string;
  readonly eps: number;
  /** One per layer. */
  readonly attentionKinds: readonly AttentionKind[];
  readonly tiedHead: boolean;
}

type AttentionKind = "global" | "local";

const attentionKind = z.enum(["global", "local"]);
const schema = z.object({
  model_type: z.literal("gpt_neo"),
  vocab_size: count,
  hidden_size: count,
  num_layers: layerCount,
  num_heads: count,
  intermediate_size: count.nullish(),
  /** Other names of `num_layers` and `num_heads`. */
  num_hidden_layers: layerCount.nullish(),
  num_attention_heads: count.nullish(),
  head_dim: count.nullish(),
  attention_types: z.array(z.tuple([z.array(attentionKind), count])),
  /** `attention_types` written out per layer, as transformers 4 saved it. */
  attention_layers: z.array(attentionKind).nullish(),
  window_size: count.default(256),
  activation_function: z.string().default("gelu_new"),
  layer_norm_epsilon: epsilon.default(1e-5),
  max_position_embeddings: count,
  tie_word_embeddings: z.boolean().default(true),
  bos_token_id: tokenId,
  eos_token_id: tokenIds,
});

function parseGptNeoConfig(json: unknown): GptNeoConfig {
  const raw = schema.parse(json);
  refuseUnread(json, schema);
  const covered = raw.attention_types.reduce((sum, [kinds, times]) => sum + kinds.length * times, 0);
  if (covered !== raw.num_layers)
    throw new ConfigError(`attention_types covers ${covered} layers but num_layers is ${raw.num_layers}`);
  const attentionKinds = raw.attention_types.flatMap(([kinds, times]) =>
    kinds.length === 0 ? [] : Array.from({ length: times }, () => kinds).flat(),
  );
  if (raw.attention_layers && raw.attention_layers.join() !== attentionKinds.join())
    throw new ConfigError(
      "attention_layers and attention_types tell of different layers; only one of them can be meant",
    );
  activation(raw.activation_function);
  const headDim = headDimension(raw.hidden_size, raw.num_heads);
  requireSame("num_hidden_layers", raw.num_hidden_layers, raw.num_layers, "num_layers");
  requireSame("num_attention_heads", raw.num_attention_heads, raw.num_heads, "num_heads");
  requireSame("head_dim", raw.head_dim, headDim, "hidden_size over num_heads");
  return {
    modelType: raw.model_type,
    vocabSize: raw.vocab_size,
    width: raw.hidden_size,
    layers: raw.num_layers,
    heads: raw.num_heads,
    kvHeads: raw.num_heads,
    headDim,
    mlpWidth: raw.intermediate_size ?? 4 * raw.hidden_size,
    activation: raw.activation_function,
    contextLength: raw.max_position_embeddings,
    localWindow: attentionKinds.includes("local") ? raw.window_size : undefined,
    attentionKinds,
    eps: raw.layer_norm_epsilon,
    tiedHead: raw.tie_word_embeddings,
    ...specialIds(raw),
  };
}

const embeddingName = "transformer.wte.weight";
const positionName = "transformer.wpe.weight";
const headWeight = "lm_head.weight";
const layerName = (layer: number): string => `transformer.h.${layer}`;

export const gptNeo: Architecture<GptNeoConfig> = {
  parseConfig: parseGptNeoConfig,
  parameters,
  ignorable: /\.attn\.attention\.(bias|masked_bias)$|^v_head\./,
  bodyPrefixes: ["transformer."],
  headNames: [headWeight],
  headName: ({ tiedHead }) => (tiedHead ? embeddingName : headWeight),
  embeddingName: () => embeddingName,
  siteModules: (_, layer) => ({ "mlp-output": `${layerName(layer)}.mlp`, residual: layerName(layer) }),
  finalNorm: { scale: "transformer.ln_f.weight", offset: 0, centres: true },
  initialNorm: 1,
  forward: (config, context) => {
    const { weights, ids, positions } = context;
    const embedded = ops.add(
      ops.embedding(weights.get(embeddingName), ids),
      ops.embedding(weights.get(positionName), positions),
    );
    const { residual, layers } = throughLayers(config.layers, embedded, (layer, x) => block(config, context, layer, x));
    return { hidden: layerNorm(context, "transformer.ln_f", residual, config.eps), layers };
  },
};

function parameters(config: GptNeoConfig): ModelParameter[] {
  const { width: D, mlpWidth, vocabSize: V, contextLength } = config;
  const layers = Array.from({ length: config.layers }, (_, layer) => {
    const name = layerName(layer);
    const weight = (part: ModelPart, place: string, out: number, inputs: number): ModelParameter =>
      linearWeight(`${name}.${place}`, [out, inputs], { part, layer });
    const bias = (part: ModelPart, place: string, out: number): ModelParameter =>
      linearBias(`${name}.${place}`, out, { part, layer });
    return [
      ...layerNormParameters(`${name}.ln_1`, D, layer),
      ...["q_proj", "k_proj", "v_proj", "out_proj"].map((part) => weight("attention", `attn.attention.${part}`, D, D)),
      bias("attention", "attn.attention.out_proj", D),
      ...layerNormParameters(`${name}.ln_2`, D, layer),
      weight("mlp", "mlp.c_fc", mlpWidth, D),
      bias("mlp", "mlp.c_fc", mlpWidth),
      weight("mlp", "mlp.c_proj", D, mlpWidth),
      bias("mlp", "mlp.c_proj", D),
    ];
  });
  return [
    embeddingTable(embeddingName, [V, D]),
    embeddingTable(positionName, [contextLength, D]),
    ...layers.flat(),
    ...layerNormParameters("transformer.ln_f", D),
    ...ownHead(headWeight, [V, D], config.tiedHead),
  ];
}

function block(config: GptNeoConfig, context: ForwardContext, layer: number, x: Node): LayerResult {
  const name = layerName(layer);
  const attended = attend(config, context, layer, layerNorm(context, `${name}.ln_1`, x, config.eps));
  const middle = ops.add(x, attended.output);
  const { weights } = context;
  const read = layerNorm(context, `${name}.ln_2`, middle, config.eps);
  const wide = activation(config.activation)(weights.linear(read, `${name}.mlp.c_fc.weight`, `${name}.mlp.c_fc.bias`));
  const plain = weights.linear(wide, `${name}.mlp.c_proj.weight`, `${name}.mlp.c_proj.bias`);
  return joinMlp(context, layer, { middle, plain, attended });
}

/** Attention without the 1 / sqrt(headDim) scale on scores: GPT-Neo was trained so. */
function attend(config: GptNeoConfig, context: ForwardContext, layer: number, x: Node): Attended {
  const name = `${layerName(layer)}.attn.attention`;
  const project = (part: string): Node => splitHeads(context.weights.linear(x, `${name}.${part}.weight`), config.heads);
  const window = config.attentionKinds[layer] === "local" ? config.localWindow : undefined;
  const result = attention(
    { queries: project("q_proj"), keys: project("k_proj"), values: project("v_proj"), layer, scale: 1, window },
    context,
  );
  return {
    ...result,
    output: context.weights.linear(result.output, `${name}.out_proj.weight`, `${name}.out_proj.bias`),
  };
}
