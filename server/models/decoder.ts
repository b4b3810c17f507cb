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
    bodyPrefix: "model.",
    headNames: [headWeight],
    headName: ({ tiedHead }) => (tiedHead ? embeddingName : headWeight),
    embeddingName: () => embeddingName,
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
  const headNorms = config.headNorms ? ["q_norm", "k_norm"] : [];
  return [
    normScale(`${name}.input_layernorm`, D, layer),
    ...linear("attention", "self_attn.q_proj", [heads * headDim, D], biases.qkv),
    ...linear("attention", "self_attn.k_proj", [kvHeads * headDim, D], biases.qkv),
    ...linear("attention", "self_attn.v_proj", [kvHeads * headDim, D], biases.qkv),
    ...linear("attention", "self_attn.o_proj", [D, heads * headDim], biases.output),
    ...headNorms.map((part) => normScale(`${name}.self_attn.${part}`, headDim, layer)),
    normScale(`${name}.post_attention_layernorm`, D, layer),
    ...linear("mlp", "mlp.gate_proj", [mlpWidth, D], biases.mlp),
    ...linear("mlp", "mlp.up_proj", [mlpWidth, D], biases.mlp),
    ...linear("mlp", "mlp.down_proj", [D, mlpWidth], biases.mlp),
  ];
}

function block(pass: Pass, layer: number, x: Node): LayerResult {
  const { config, context } = pass;
  const name = layerName(layer);
  const attended = attend(pass, layer, norm(pass, `${name}.input_layernorm`, x));
  const middle = ops.add(x, attended.output);
  const read = norm(pass, `${name}.post_attention_layernorm`, middle);
  const through = (input: Node, part: string): Node => linear(context, input, `${name}.mlp.${part}`, config.biases.mlp);
  const gate = activation(config.activation)(through(read, "gate_proj"));
  const plain = through(ops.mul(gate, through(read, "up_proj")), "down_proj");
  return joinMlp(context, layer, { middle, plain, attended });
}

function attend(pass: Pass, layer: number, x: Node): Attended {
  const { config, context } = pass;
  const { heads, kvHeads, headDim, biases } = config;
  const name = `${layerName(layer)}.self_attn`;
  const project = (part: string, headCount: number): Node =>
    splitHeads(linear(context, x, `${name}.${part}_proj`, biases.qkv), headCount);
  const turned = (part: string, headCount: number): Node => {
    const plain = project(part, headCount);
    const normed = config.headNorms ? norm(pass, `${name}.${part}_norm`, plain) : plain;
    return ops.rotary(normed, context.positions, {
      rotaryDims: headDim,
      base: config.rotaryBase,
      maxPositions: config.contextLength,
      scaling: config.rotaryScaling,
    });
  };
  const result = attention(
    {
      queries: turned("q", heads),
      keys: turned("k", kvHeads),
      values: project("v", kvHeads),
      layer,
      scale: 1 / Math.sqrt(headDim),
      window: config.isLocal[layer] ? config.localWindow : undefined,
    },
    context,
  );
  return { ...result, output: linear(context, result.output, `${name}.o_proj`, biases.output) };
}

function linear({ weights }: ForwardContext, x: Node, name: string, hasBias: boolean): Node {
  return weights.linear(x, `${name}.weight`, hasBias ? `${name}.bias` : undefined);
}

/** x / rms(x) times the scale, over the last axis. */
function norm({ config, context, normOffset }: Pass, name: string, x: Node): Node {
  const stored = context.weights.get(`${name}.weight`);
  return ops.rmsNorm(x, normOffset === 0 ? stored : ops.affine(stored, 1, normOffset), config.eps);
}
