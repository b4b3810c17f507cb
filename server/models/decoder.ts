/** The decoder family: one forward pass, of which Llama and its relatives differ in switches. Names as in transformers. */
import type { Node } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import {
  type Architecture,
  attention,
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
  linearBias,
  linearWeight,
  normScale,
  ownHead,
  throughLayers,
} from "./blocks.ts";
import { activation } from "./config-fields.ts";
import type { DecoderConfig } from "./decoder-config.ts";

const embeddingName = "model.embed_tokens.weight";
const headWeight = "lm_head.weight";
const finalNormName = "model.norm";
const layerName = (layer: number): string => `model.layers.${layer}`;

/** A member of the family. `normOffset` is added to the stored scales of norms: 1 where files store the scale minus one. */
export function decoder<C extends DecoderConfig>(
  parseConfig: (json: unknown) => C,
  normOffset: 0 | 1 = 0,
): Architecture<C> {
  return {
    parseConfig,
    parameters,
    ignorable: /\.rotary_emb\.inv_freq$|^v_head\./,
    bodyPrefixes: ["model."],
    headNames: [headWeight],
    headName: ({ tiedHead }) => (tiedHead ? embeddingName : headWeight),
    embeddingName: () => embeddingName,
    siteModules: ({ norms }, layer) => ({
      "mlp-output": `${layerName(layer)}.${layerNorms[norms].afterMlp ?? "mlp"}`,
      residual: layerName(layer),
    }),
    finalNorm: { scale: `${finalNormName}.weight`, offset: normOffset, centres: false },
    initialNorm: 1 - normOffset,
    forward: (config, context) => {
      const pass = { config, context, normOffset };
      const { weights, ids } = context;
      const embedded = ops.embedding(weights.get(embeddingName), ids);
      const scaled = config.embeddingScale === 1 ? embedded : ops.affine(embedded, config.embeddingScale);
      const { residual, layers } = throughLayers(config.layers, scaled, (layer, x) => block(pass, layer, x));
      return { hidden: norm(pass, finalNormName, residual), layers };
    },
  };
}

interface Pass {
  readonly config: DecoderConfig;
  readonly context: ForwardContext;
  readonly normOffset: 0 | 1;
}

function parameters(config: DecoderConfig): ModelParameter[] {
  const { width: D, vocabSize: V } = config;
  return [
    embeddingTable(embeddingName, [V, D]),
    ...Array.from({ length: config.layers }, (_, layer) => layerParameters(config, layer)).flat(),
    normScale(finalNormName, D),
    ...ownHead(headWeight, [V, D], config.tiedHead),
  ];
}

function layerParameters(config: DecoderConfig, layer: number): ModelParameter[] {
  const { width: D, mlpWidth, heads, kvHeads, headDim, biases } = config;
  const name = layerName(layer);
  const linear = (
    part: ModelPart,
    place: string,
    shape: readonly [number, number],
    bias: boolean,
  ): ModelParameter[] => {
    const own = { part, layer };
    const full = `${name}.${place}`;
    return [linearWeight(full, shape, own), ...(bias ? [linearBias(full, shape[0], own)] : [])];
  };
  const norms = Object.values(layerNorms[config.norms]).map((place) => normScale(`${name}.${place}`, D, layer));
  return [
    ...norms,
    ...linear("attention", "self_attn.q_proj", [heads * headDim, D], biases.qkv),
    ...linear("attention", "self_attn.k_proj", [kvHeads * headDim, D], biases.qkv),
    ...linear("attention", "self_attn.v_proj", [kvHeads * headDim, D], biases.qkv),
    ...linear("attention", "self_attn.o_proj", [D, heads * headDim], biases.output),
    ...queryKeyNorms(config, layer),
    ...linear("mlp", "mlp.gate_proj", [mlpWidth, D], biases.mlp),
    ...linear("mlp", "mlp.up_proj", [mlpWidth, D], biases.mlp),
    ...linear("mlp", "mlp.down_proj", [D, mlpWidth], biases.mlp),
  ];
}

/** What the norms of a layer are called, by where they stand: the same name stands in different places. */
const layerNorms: { readonly [K in DecoderConfig["norms"]]: Readonly<Partial<Record<NormPlace, string>>> } = {
  before: { beforeAttention: "input_layernorm", beforeMlp: "post_attention_layernorm" },
  after: { afterAttention: "post_attention_layernorm", afterMlp: "post_feedforward_layernorm" },
  both: {
    beforeAttention: "input_layernorm",
    afterAttention: "post_attention_layernorm",
    beforeMlp: "pre_feedforward_layernorm",
    afterMlp: "post_feedforward_layernorm",
  },
};
type NormPlace = "beforeAttention" | "afterAttention" | "beforeMlp" | "afterMlp";

function queryKeyNorms({ queryKeyNorms: kind, heads, kvHeads, headDim }: DecoderConfig, layer: number) {
  const name = `${layerName(layer)}.self_attn`;
  const sizes = { none: undefined, head: [headDim, headDim], heads: [heads * headDim, kvHeads * headDim] }[kind];
  return (sizes ?? []).map((size, at) => normScale(`${name}.${at === 0 ? "q_norm" : "k_norm"}`, size, layer));
}

function block(pass: Pass, layer: number, x: Node): LayerResult {
  const { config, context } = pass;
  const name = layerName(layer);
  const normed = (place: NormPlace, input: Node): Node => {
    const own = layerNorms[config.norms][place];
    return own === undefined ? input : norm(pass, `${name}.${own}`, input);
  };
  const attended = attend(pass, layer, normed("beforeAttention", x));
  const middle = ops.add(x, normed("afterAttention", attended.output));
  const read = normed("beforeMlp", middle);
  const through = (input: Node, part: string): Node => linear(context, input, `${name}.mlp.${part}`, config.biases.mlp);
  const gate = activation(config.activation)(through(read, "gate_proj"));
  const plain = normed("afterMlp", through(ops.mul(gate, through(read, "up_proj")), "down_proj"));
  return joinMlp(context, layer, { middle, plain, attended });
}

function attend(pass: Pass, layer: number, x: Node): Attended {
  const { config, context } = pass;
  const { heads, kvHeads, headDim, biases, isLocal, rotation, localRotation } = config;
  const name = `${layerName(layer)}.self_attn`;
  const project = (part: string): Node => linear(context, x, `${name}.${part}_proj`, biases.qkv);
  const { base, scaling } = isLocal[layer] ? (localRotation ?? rotation) : rotation;
  const turned = (part: string, headCount: number): Node => {
    const rotary = { rotaryDims: headDim, base, maxPositions: config.contextLength, scaling };
    return ops.rotary(normedHeads(pass, `${name}.${part}_norm`, project(part), headCount), context.positions, rotary);
  };
  const result = attention(
    {
      queries: turned("q", heads),
      keys: turned("k", kvHeads),
      values: splitHeads(project("v"), kvHeads),
      layer,
      scale: config.attentionScale ?? 1 / Math.sqrt(headDim),
      cap: config.attentionCap,
      window: isLocal[layer] ? config.localWindow : undefined,
    },
    context,
  );
  return { ...result, output: linear(context, result.output, `${name}.o_proj`, biases.output) };
}

/** Queries or keys [B, T, heads, headDim], normed head by head, all heads at once, or not. */
function normedHeads(pass: Pass, name: string, projected: Node, heads: number): Node {
  switch (pass.config.queryKeyNorms) {
    case "none":
      return splitHeads(projected, heads);
    case "head":
      return norm(pass, name, splitHeads(projected, heads));
    case "heads":
      return splitHeads(norm(pass, name, projected), heads);
  }
}

function linear({ weights }: ForwardContext, x: Node, name: string, hasBias: boolean): Node {
  return weights.linear(x, `${name}.weight`, hasBias ? `${name}.bias` : undefined);
}

/** x / rms(x) times the scale, over the last axis. */
function norm({ config, context, normOffset }: Pass, name: string, x: Node): Node {
  const stored = context.weights.get(`${name}.weight`);
  return ops.rmsNorm(x, normOffset === 0 ? stored : ops.affine(stored, 1, normOffset), config.eps);
}
