/** GPT-NeoX (Pythia): Black et al. 2022, https://arxiv.org/abs/2204.06745; names and order as in transformers. */
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
  requireRope,
  requireSame,
  ropeBase,
  ropeFields,
  ropeOf,
  rotation,
  specialIds,
  tokenId,
  tokenIds,
  usableContext,
} from "./config-fields.ts";

export interface GptNeoXConfig extends BaseConfig {
  readonly modelType: "gpt_neox";
  readonly mlpWidth: number;
  readonly activation: string;
  /** Even; 0 where nothing is rotated. */
  readonly rotaryDims: number;
  readonly rotaryBase: number;
  readonly eps: number;
  /**
   * Whether attention and MLP read the same residual stream; otherwise the MLP reads it with attention's output
   * added.
   */
  readonly parallelResidual: boolean;
  readonly attentionBias: boolean;
  readonly tiedHead: boolean;
}

const schema = z.object({
  model_type: z.literal("gpt_neox"),
  vocab_size: count,
  hidden_size: count,
  num_hidden_layers: layerCount,
  num_attention_heads: count,
  intermediate_size: count,
  hidden_act: z.string().default("gelu"),
  rotary_pct: z.number().positive().max(1).optional(),
  rotary_emb_base: ropeBase.optional(),
  ...ropeFields,
  /** Ignored, as by transformers, which reads `rotary_emb_base` and `rotary_pct`. */
  rope_theta: z.unknown().optional(),
  partial_rotary_factor: z.unknown().optional(),
  head_dim: count.nullish(),
  max_position_embeddings: count,
  layer_norm_eps: epsilon.default(1e-5),
  use_parallel_residual: z.boolean().default(true),
  attention_bias: z.boolean().default(true),
  tie_word_embeddings: z.boolean().default(false),
  bos_token_id: tokenId,
  eos_token_id: tokenIds,
});

function parseGptNeoXConfig(json: unknown): GptNeoXConfig {
  requireRope(json);
  const raw = schema.parse(json);
  const headDim = headDimension(raw.hidden_size, raw.num_attention_heads);
  refuseUnread(json, schema);
  requireSame("head_dim", raw.head_dim, headDim, "hidden_size over num_attention_heads");
  const rope = ropeOf(raw);
  const factor = rope.partial_rotary_factor ?? raw.rotary_pct ?? 0.25;
  activation(raw.hidden_act);
  return {
    modelType: raw.model_type,
    vocabSize: raw.vocab_size,
    width: raw.hidden_size,
    layers: raw.num_hidden_layers,
    heads: raw.num_attention_heads,
    kvHeads: raw.num_attention_heads,
    headDim,
    mlpWidth: raw.intermediate_size,
    activation: raw.hidden_act,
    ...rotation(Math.trunc(headDim * factor), headDim, rope.rope_theta ?? raw.rotary_emb_base ?? 10_000),
    contextLength: usableContext(raw.max_position_embeddings),
    localWindow: undefined,
    eps: raw.layer_norm_eps,
    parallelResidual: raw.use_parallel_residual,
    attentionBias: raw.attention_bias,
    tiedHead: raw.tie_word_embeddings,
    ...specialIds(raw),
  };
}

const embeddingName = "gpt_neox.embed_in.weight";
const headWeight = "embed_out.weight";
const layerName = (layer: number): string => `gpt_neox.layers.${layer}`;

export const gptNeoX: Architecture<GptNeoXConfig> = {
  parseConfig: parseGptNeoXConfig,
  parameters,
  // Old checkpoints carry masks and rotary tables, and TRL's a value head.
  ignorable: /\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)$|^v_head\./,
  bodyPrefixes: ["gpt_neox."],
  // transformers 5 calls it lm_head in memory, and reads both.
  headNames: [headWeight, "lm_head.weight"],
  headName: ({ tiedHead }) => (tiedHead ? embeddingName : headWeight),
  embeddingName: () => embeddingName,
  siteModules: (_, layer) => ({ "mlp-output": `${layerName(layer)}.mlp`, residual: layerName(layer) }),
  finalNorm: { scale: "gpt_neox.final_layer_norm.weight", offset: 0, centres: true },
  initialNorm: 1,
  forward: (config, context) => {
    const { weights, ids } = context;
    const embedded = ops.embedding(weights.get(embeddingName), ids);
    const { residual, layers } = throughLayers(config.layers, embedded, (layer, x) => block(config, context, layer, x));
    return { hidden: layerNorm(context, "gpt_neox.final_layer_norm", residual, config.eps), layers };
  },
};

function parameters(config: GptNeoXConfig): ModelParameter[] {
  const { width: D, mlpWidth, vocabSize: V } = config;
  const layers = Array.from({ length: config.layers }, (_, layer) => {
    const linear = (place: string, out: number, inputs: number, part: ModelPart, bias = true): ModelParameter[] => {
      const name = `${layerName(layer)}.${place}`;
      const own = { part, layer };
      return [linearWeight(name, [out, inputs], own), ...(bias ? [linearBias(name, out, own)] : [])];
    };
    return [
      ...layerNormParameters(`${layerName(layer)}.input_layernorm`, D, layer),
      ...layerNormParameters(`${layerName(layer)}.post_attention_layernorm`, D, layer),
      ...linear("attention.query_key_value", 3 * D, D, "attention", config.attentionBias),
      ...linear("attention.dense", D, D, "attention", config.attentionBias),
      ...linear("mlp.dense_h_to_4h", mlpWidth, D, "mlp"),
      ...linear("mlp.dense_4h_to_h", D, mlpWidth, "mlp"),
    ];
  });
  return [
    embeddingTable(embeddingName, [V, D]),
    ...layers.flat(),
    ...layerNormParameters("gpt_neox.final_layer_norm", D),
    ...ownHead(headWeight, [V, D], config.tiedHead),
  ];
}

/** x + attn(ln1(x)) + mlp(ln2(x)), or with the MLP reading x + attn(ln1(x)) when not parallel. */
function block(config: GptNeoXConfig, context: ForwardContext, layer: number, x: Node): LayerResult {
  const name = layerName(layer);
  const attended = attend(config, context, layer, layerNorm(context, `${name}.input_layernorm`, x, config.eps));
  const middle = ops.add(x, attended.output);
  const read = layerNorm(context, `${name}.post_attention_layernorm`, config.parallelResidual ? x : middle, config.eps);
  const { weights } = context;
  const wide = activation(config.activation)(
    weights.linear(read, `${name}.mlp.dense_h_to_4h.weight`, `${name}.mlp.dense_h_to_4h.bias`),
  );
  const plain = weights.linear(wide, `${name}.mlp.dense_4h_to_h.weight`, `${name}.mlp.dense_4h_to_h.bias`);
  return joinMlp(context, layer, { middle, plain, attended });
}

/** Queries, keys and values come interleaved by head from one projection: [B, T, H, 3 * headDim]. */
function attend(config: GptNeoXConfig, context: ForwardContext, layer: number, x: Node): Attended {
  const { heads, headDim, rotaryDims, rotaryBase, attentionBias } = config;
  const name = `${layerName(layer)}.attention`;
  const biasOf = (part: string): string | undefined => (attentionBias ? `${name}.${part}.bias` : undefined);
  const { weights, positions } = context;
  const joint = splitHeads(weights.linear(x, `${name}.query_key_value.weight`, biasOf("query_key_value")), heads);
  const part = (index: number): Node => ops.slice(joint, 3, index * headDim, (index + 1) * headDim);
  const turn = (half: Node): Node =>
    rotaryDims === 0
      ? half
      : ops.rotary(half, positions, { rotaryDims, base: rotaryBase, maxPositions: config.contextLength });
  const scale = 1 / Math.sqrt(headDim);
  const result = attention(
    { queries: turn(part(0)), keys: turn(part(1)), values: part(2), layer, scale, window: undefined },
    context,
  );
  return { ...result, output: weights.linear(result.output, `${name}.dense.weight`, biasOf("dense")) };
}
