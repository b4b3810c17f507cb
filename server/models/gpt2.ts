/** GPT-2: Radford et al. 2019, https://openai.com/index/better-language-models/; names and order as in transformers. */
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

export interface Gpt2Config extends BaseConfig {
  readonly modelType: "gpt2";
  readonly mlpWidth: number;
  readonly activation: string;
  readonly eps: number;
  /** What attention's scores are multiplied by; one per layer. */
  readonly scales: readonly number[];
  readonly tiedHead: boolean;
}

const schema = z.object({
  model_type: z.literal("gpt2"),
  vocab_size: count,
  n_embd: count,
  n_layer: layerCount,
  n_head: count,
  n_positions: count,
  n_inner: count.nullish(),
  /** As transformers calls the sizes in other models. */
  hidden_size: count.nullish(),
  num_hidden_layers: layerCount.nullish(),
  num_attention_heads: count.nullish(),
  max_position_embeddings: count.nullish(),
  activation_function: z.string().default("gelu_new"),
  layer_norm_epsilon: epsilon.default(1e-5),
  scale_attn_weights: z.boolean().default(true),
  scale_attn_by_inverse_layer_idx: z.boolean().default(false),
  /** An order of computing that changes rounding in half precision alone. */
  reorder_and_upcast_attn: z.boolean().nullish(),
  add_cross_attention: z.literal(false).nullish(),
  tie_word_embeddings: z.boolean().default(true),
  bos_token_id: tokenId,
  eos_token_id: tokenIds,
});

function parseGpt2Config(json: unknown): Gpt2Config {
  const raw = schema.parse(json);
  refuseUnread(json, schema);
  requireSame("hidden_size", raw.hidden_size, raw.n_embd, "n_embd");
  requireSame("num_hidden_layers", raw.num_hidden_layers, raw.n_layer, "n_layer");
  requireSame("num_attention_heads", raw.num_attention_heads, raw.n_head, "n_head");
  requireSame("max_position_embeddings", raw.max_position_embeddings, raw.n_positions, "n_positions");
  activation(raw.activation_function);
  const headDim = headDimension(raw.n_embd, raw.n_head);
  const scale = raw.scale_attn_weights ? 1 / Math.sqrt(headDim) : 1;
  return {
    modelType: raw.model_type,
    vocabSize: raw.vocab_size,
    width: raw.n_embd,
    layers: raw.n_layer,
    heads: raw.n_head,
    kvHeads: raw.n_head,
    headDim,
    mlpWidth: raw.n_inner ?? 4 * raw.n_embd,
    activation: raw.activation_function,
    contextLength: raw.n_positions,
    localWindow: undefined,
    scales: Array.from({ length: raw.n_layer }, (_, layer) =>
      raw.scale_attn_by_inverse_layer_idx ? scale / (layer + 1) : scale,
    ),
    eps: raw.layer_norm_epsilon,
    tiedHead: raw.tie_word_embeddings,
    ...specialIds(raw),
  };
}

const embeddingName = "transformer.wte.weight";
const positionName = "transformer.wpe.weight";
const headWeight = "lm_head.weight";
const layerName = (layer: number): string => `transformer.h.${layer}`;

export const gpt2: Architecture<Gpt2Config> = {
  parseConfig: parseGpt2Config,
  parameters,
  ignorable: /\.attn\.(bias|masked_bias)$|^v_head\./,
  bodyPrefixes: ["transformer."],
  inputsFirst: /\.(attn\.c_attn|attn\.c_proj|mlp\.c_fc|mlp\.c_proj)\.weight$/,
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

function parameters(config: Gpt2Config): ModelParameter[] {
  const { width: D, mlpWidth, vocabSize: V, contextLength } = config;
  const layers = Array.from({ length: config.layers }, (_, layer) => {
    const name = layerName(layer);
    const linear = (part: ModelPart, place: string, out: number, inputs: number): ModelParameter[] => [
      linearWeight(`${name}.${place}`, [out, inputs], { part, layer }),
      linearBias(`${name}.${place}`, out, { part, layer }),
    ];
    return [
      ...layerNormParameters(`${name}.ln_1`, D, layer),
      ...linear("attention", "attn.c_attn", 3 * D, D),
      ...linear("attention", "attn.c_proj", D, D),
      ...layerNormParameters(`${name}.ln_2`, D, layer),
      ...linear("mlp", "mlp.c_fc", mlpWidth, D),
      ...linear("mlp", "mlp.c_proj", D, mlpWidth),
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

function block(config: Gpt2Config, context: ForwardContext, layer: number, x: Node): LayerResult {
  const name = layerName(layer);
  const attended = attend(config, context, layer, layerNorm(context, `${name}.ln_1`, x, config.eps));
  const middle = ops.add(x, attended.output);
  const read = layerNorm(context, `${name}.ln_2`, middle, config.eps);
  const wide = activation(config.activation)(linear(context, `${name}.mlp.c_fc`, read));
  return joinMlp(context, layer, { middle, plain: linear(context, `${name}.mlp.c_proj`, wide), attended });
}

/** Queries, keys and values come from one projection, all heads of each together: [B, T, 3 D]. */
function attend(config: Gpt2Config, context: ForwardContext, layer: number, x: Node): Attended {
  const { width: D, heads } = config;
  const name = `${layerName(layer)}.attn`;
  const joint = linear(context, `${name}.c_attn`, x);
  const third = (index: number): Node => splitHeads(ops.slice(joint, 2, index * D, (index + 1) * D), heads);
  const scale = config.scales[layer] ?? 1;
  const result = attention(
    { queries: third(0), keys: third(1), values: third(2), layer, scale, window: undefined },
    context,
  );
  return { ...result, output: linear(context, `${name}.c_proj`, result.output) };
}

function linear({ weights }: ForwardContext, name: string, x: Node): Node {
  return weights.linear(x, `${name}.weight`, `${name}.bias`);
}
