/**
 * Gemma 1: Gemma Team 2024, https://arxiv.org/abs/2403.08295; names and order as in transformers. The padding token's
 * embedding gets a gradient here where the token occurs in a text; torch's `padding_idx` drops it.
 */
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
import { type Attended, embeddingTable, joinMlp, linearWeight, normScale, ownHead, throughLayers } from "./blocks.ts";
import {
  count,
  epsilon,
  layerCount,
  refuseUnread,
  requirePlainRope,
  ropeBase,
  ropeFields,
  ropeOf,
  specialIds,
  tokenId,
  tokenIds,
  usableContext,
} from "./config-fields.ts";
import { ConfigError } from "./errors.ts";

export interface GemmaConfig extends BaseConfig {
  readonly modelType: "gemma";
  readonly mlpWidth: number;
  readonly rotaryBase: number;
  readonly eps: number;
  readonly tiedHead: boolean;
}

const schema = z.object({
  model_type: z.literal("gemma"),
  vocab_size: count,
  hidden_size: count,
  num_hidden_layers: layerCount,
  num_attention_heads: count,
  num_key_value_heads: count,
  head_dim: count.multipleOf(2),
  intermediate_size: count,
  // "gelu" in the first checkpoints was a slip: the model was trained with the tanh form, and transformers treats it so.
  hidden_act: z.enum(["gelu", "gelu_pytorch_tanh"]).nullish(),
  hidden_activation: z.enum(["gelu", "gelu_pytorch_tanh"]).nullish(),
  rope_theta: ropeBase.optional(),
  ...ropeFields,
  max_position_embeddings: count,
  rms_norm_eps: epsilon.default(1e-6),
  attention_bias: z.literal(false).default(false),
  tie_word_embeddings: z.boolean().default(true),
  use_bidirectional_attention: z.literal(false).nullish(),
  bos_token_id: tokenId,
  eos_token_id: tokenIds,
});

function parseGemmaConfig(json: unknown): GemmaConfig {
  requirePlainRope(json);
  const raw = schema.parse(json);
  refuseUnread(json, schema);
  const rope = ropeOf(raw);
  if ((rope.partial_rotary_factor ?? 1) !== 1)
    throw new ConfigError(`partial_rotary_factor is ${rope.partial_rotary_factor}; a Gemma rotates whole heads`);
  if (raw.num_attention_heads % raw.num_key_value_heads !== 0) {
    throw new ConfigError(
      `${raw.num_attention_heads} query heads cannot share ${raw.num_key_value_heads} key heads evenly`,
    );
  }
  return {
    modelType: raw.model_type,
    vocabSize: raw.vocab_size,
    width: raw.hidden_size,
    layers: raw.num_hidden_layers,
    heads: raw.num_attention_heads,
    kvHeads: raw.num_key_value_heads,
    headDim: raw.head_dim,
    mlpWidth: raw.intermediate_size,
    rotaryBase: rope.rope_theta ?? raw.rope_theta ?? 10_000,
    contextLength: usableContext(raw.max_position_embeddings),
    localWindow: undefined,
    eps: raw.rms_norm_eps,
    tiedHead: raw.tie_word_embeddings,
    ...specialIds(raw),
  };
}

const embeddingName = "model.embed_tokens.weight";
const headWeight = "lm_head.weight";
const layerName = (layer: number): string => `model.layers.${layer}`;

export const gemma: Architecture<GemmaConfig> = {
  parseConfig: parseGemmaConfig,
  parameters,
  ignorable: /\.rotary_emb\.inv_freq$|^v_head\./,
  bodyPrefix: "model.",
  headNames: [headWeight],
  headName: ({ tiedHead }) => (tiedHead ? embeddingName : headWeight),
  embeddingName: () => embeddingName,
  finalNorm: { scale: "model.norm.weight", offset: 1, centres: false },
  initialNorm: 0,
  forward: (config, context) => {
    const { weights, ids } = context;
    const embedded = ops.affine(ops.embedding(weights.get(embeddingName), ids), Math.sqrt(config.width));
    const { residual, layers } = throughLayers(config.layers, embedded, (layer, x) => block(config, context, layer, x));
    return { hidden: rmsNorm(config, context, "model.norm.weight", residual), layers };
  },
};

function parameters(config: GemmaConfig): ModelParameter[] {
  const { width: D, mlpWidth, vocabSize: V, heads, kvHeads, headDim } = config;
  const layers = Array.from({ length: config.layers }, (_, layer) => {
    const name = layerName(layer);
    const linear = (part: ModelPart, place: string, out: number, inputs: number): ModelParameter =>
      linearWeight(`${name}.${place}`, [out, inputs], { part, layer });
    return [
      normScale(`${name}.input_layernorm`, D, layer),
      linear("attention", "self_attn.q_proj", heads * headDim, D),
      linear("attention", "self_attn.k_proj", kvHeads * headDim, D),
      linear("attention", "self_attn.v_proj", kvHeads * headDim, D),
      linear("attention", "self_attn.o_proj", D, heads * headDim),
      normScale(`${name}.post_attention_layernorm`, D, layer),
      linear("mlp", "mlp.gate_proj", mlpWidth, D),
      linear("mlp", "mlp.up_proj", mlpWidth, D),
      linear("mlp", "mlp.down_proj", D, mlpWidth),
    ];
  });
  return [
    embeddingTable(embeddingName, [V, D]),
    ...layers.flat(),
    normScale("model.norm", D),
    ...ownHead(headWeight, [V, D], config.tiedHead),
  ];
}

function block(config: GemmaConfig, context: ForwardContext, layer: number, x: Node): LayerResult {
  const name = layerName(layer);
  const attended = attend(config, context, layer, rmsNorm(config, context, `${name}.input_layernorm.weight`, x));
  const middle = ops.add(x, attended.output);
  const { weights } = context;
  const read = rmsNorm(config, context, `${name}.post_attention_layernorm.weight`, middle);
  const gate = ops.geluTanh(weights.linear(read, `${name}.mlp.gate_proj.weight`));
  const plain = weights.linear(
    ops.mul(gate, weights.linear(read, `${name}.mlp.up_proj.weight`)),
    `${name}.mlp.down_proj.weight`,
  );
  return joinMlp(context, layer, { middle, plain, attended });
}

function attend(config: GemmaConfig, context: ForwardContext, layer: number, x: Node): Attended {
  const { heads, kvHeads, headDim, rotaryBase, contextLength } = config;
  const name = `${layerName(layer)}.self_attn`;
  const { weights, positions } = context;
  const project = (part: string, headCount: number): Node =>
    splitHeads(weights.linear(x, `${name}.${part}.weight`), headCount);
  const turn = (part: Node): Node =>
    ops.rotary(part, positions, { rotaryDims: headDim, base: rotaryBase, maxPositions: contextLength });
  const projected = {
    queries: turn(project("q_proj", heads)),
    keys: turn(project("k_proj", kvHeads)),
    values: project("v_proj", kvHeads),
  };
  const result = attention({ ...projected, layer, scale: 1 / Math.sqrt(headDim), window: undefined }, context);
  return { ...result, output: weights.linear(result.output, `${name}.o_proj.weight`) };
}

/** x / rms(x) * (1 + w): Gemma stores the scale minus one. */
function rmsNorm({ eps }: GemmaConfig, { weights }: ForwardContext, name: string, x: Node): Node {
  return ops.rmsNorm(x, ops.affine(weights.get(name), 1, 1), eps);
}
