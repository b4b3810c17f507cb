/**
 * Encoders with a classification head: DistilBERT (Sanh et al. 2019, https://arxiv.org/abs/1910.01108), BERT (Devlin et
 * al. 2018, https://arxiv.org/abs/1810.04805) and RoBERTa (Liu et al. 2019, https://arxiv.org/abs/1907.11692); names and
 * order as in transformers. Letters: B texts, T tokens, D width, H heads, L labels.
 */
import { z } from "zod";
import type { Node } from "../../engine/graph.ts";
import * as ops from "../../engine/ops.ts";
import type { ParameterSpec, Weights } from "../architecture.ts";
import { splitHeads } from "../architecture.ts";
import { embeddingTable, layerNorm, layerNormParameters, linearBias, linearWeight } from "../blocks.ts";
import { activation, count, epsilon, headDimension, layerCount, refuseUnread } from "../config-fields.ts";
import { ConfigError } from "../errors.ts";
import type { TextEncoderKind } from "./text-encoder.ts";

/** Sizes of an encoder, and where its file keeps what. */
export interface EncoderConfig {
  readonly vocabSize: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly mlpWidth: number;
  /** Rows of the table of positions, and the row of a text's first token. */
  readonly positions: number;
  readonly firstPosition: number;
  /** A token of this id gets the row before the first and is not counted; undefined: every token is counted. */
  readonly uncounted: number | undefined;
  readonly tokenizer: TextEncoderKind;
  readonly activation: string;
  readonly eps: number;
  /** Number of segments, of which a single text is the first; 0 where the model knows none. */
  readonly segments: number;
  readonly names: EncoderNames;
  /** What is applied to the first token's hidden state before the labels' matrix. */
  readonly pooled: "relu" | "tanh";
}

interface EncoderNames {
  readonly words: string;
  readonly positions: string;
  readonly segments: string;
  readonly norm: string;
  readonly layer: (layer: number) => Readonly<Record<LayerPart, string>>;
  readonly pool: string;
  readonly labels: string;
}

type LayerPart = "query" | "key" | "value" | "out" | "attentionNorm" | "up" | "down" | "norm";

/** What an encoder's pass reads. */
export interface EncoderContext {
  readonly weights: Weights;
  /** i32 [B, T] */
  readonly ids: Node;
  readonly positions: Node;
  /** Added to the scores of keys, [B, 1, 1, T]: very negative for padding. */
  readonly keyBias: Node;
}

const distilBertSchema = z.object({
  model_type: z.literal("distilbert"),
  vocab_size: count,
  dim: count,
  n_layers: layerCount,
  n_heads: count,
  hidden_dim: count,
  max_position_embeddings: count,
  activation: z.string().default("gelu"),
  /** How the table of positions was made; it is in the file either way. */
  sinusoidal_pos_embds: z.boolean().optional(),
  tie_word_embeddings: z.unknown().optional(),
});

/** Throws `ConfigError` or `ZodError`. */
export function parseDistilBert(json: unknown): EncoderConfig {
  const raw = distilBertSchema.parse(json);
  refuseUnread(json, distilBertSchema);
  headDimension(raw.dim, raw.n_heads);
  activation(raw.activation);
  const body = "distilbert";
  return {
    vocabSize: raw.vocab_size,
    width: raw.dim,
    layers: raw.n_layers,
    heads: raw.n_heads,
    mlpWidth: raw.hidden_dim,
    positions: raw.max_position_embeddings,
    ...everyTokenCounted,
    tokenizer: "wordPieces",
    activation: raw.activation,
    eps: 1e-12,
    segments: 0,
    pooled: "relu",
    names: {
      ...embeddingNames(body),
      layer: (layer) => {
        const name = `${body}.transformer.layer.${layer}`;
        return {
          query: `${name}.attention.q_lin`,
          key: `${name}.attention.k_lin`,
          value: `${name}.attention.v_lin`,
          out: `${name}.attention.out_lin`,
          attentionNorm: `${name}.sa_layer_norm`,
          up: `${name}.ffn.lin1`,
          down: `${name}.ffn.lin2`,
          norm: `${name}.output_layer_norm`,
        };
      },
      pool: "pre_classifier",
      labels: "classifier",
    },
  };
}

const bertFields = {
  vocab_size: count,
  hidden_size: count,
  num_hidden_layers: layerCount,
  num_attention_heads: count,
  intermediate_size: count,
  max_position_embeddings: count,
  type_vocab_size: count.default(2),
  hidden_act: z.string().default("gelu"),
  layer_norm_eps: epsilon.default(1e-12),
  position_embedding_type: z.literal("absolute").optional(),
  tie_word_embeddings: z.unknown().optional(),
};

const bertSchema = z.object({ model_type: z.literal("bert"), ...bertFields });

/** Throws `ConfigError` or `ZodError`. */
export function parseBert(json: unknown): EncoderConfig {
  const raw = bertSchema.parse(json);
  refuseUnread(json, bertSchema);
  return {
    ...bertSizes(raw),
    ...everyTokenCounted,
    tokenizer: "wordPieces",
    names: { ...bertNames("bert"), pool: "bert.pooler.dense", labels: "classifier" },
  };
}

const robertaSchema = z.object({
  model_type: z.literal("roberta"),
  ...bertFields,
  pad_token_id: z.int().nonnegative().nullish(),
});

/** Its positions start after the padding's id. Throws `ConfigError` or `ZodError`. */
export function parseRoberta(json: unknown): EncoderConfig {
  const raw = robertaSchema.parse(json);
  refuseUnread(json, robertaSchema);
  const padId = raw.pad_token_id ?? 1;
  if (padId + 1 >= raw.max_position_embeddings)
    throw new ConfigError(
      `max_position_embeddings is ${raw.max_position_embeddings}, of which pad_token_id ${padId} leaves no position for a text`,
    );
  return {
    ...bertSizes(raw),
    firstPosition: padId + 1,
    uncounted: padId,
    tokenizer: "bytePairs",
    names: { ...bertNames("roberta"), pool: "classifier.dense", labels: "classifier.out_proj" },
  };
}

const everyTokenCounted = { firstPosition: 0, uncounted: undefined } as const;

/** Sizes as BERT's config names them. Throws `ConfigError`. */
function bertSizes(raw: Omit<z.infer<typeof bertSchema>, "model_type">) {
  headDimension(raw.hidden_size, raw.num_attention_heads);
  activation(raw.hidden_act);
  return {
    vocabSize: raw.vocab_size,
    width: raw.hidden_size,
    layers: raw.num_hidden_layers,
    heads: raw.num_attention_heads,
    mlpWidth: raw.intermediate_size,
    positions: raw.max_position_embeddings,
    activation: raw.hidden_act,
    eps: raw.layer_norm_eps,
    segments: raw.type_vocab_size,
    pooled: "tanh",
  } as const;
}

/** Where BERT's layers keep their weights, below the name of the body. */
function bertNames(body: string): Omit<EncoderNames, "pool" | "labels"> {
  return {
    ...embeddingNames(body),
    layer: (layer) => {
      const name = `${body}.encoder.layer.${layer}`;
      return {
        query: `${name}.attention.self.query`,
        key: `${name}.attention.self.key`,
        value: `${name}.attention.self.value`,
        out: `${name}.attention.output.dense`,
        attentionNorm: `${name}.attention.output.LayerNorm`,
        up: `${name}.intermediate.dense`,
        down: `${name}.output.dense`,
        norm: `${name}.output.LayerNorm`,
      };
    },
  };
}

/** The position of each token of a text: its row in the table of positions. */
export function positionsOf({ firstPosition, uncounted }: EncoderConfig, ids: readonly number[]): number[] {
  let next = firstPosition;
  return ids.map((id) => (id === uncounted ? firstPosition - 1 : next++));
}

/** The tensors that a classifier of `labels` labels must hold. */
export function encoderParameters(config: EncoderConfig, labels: number): ParameterSpec[] {
  const { width: D, mlpWidth, vocabSize, positions, segments, names } = config;
  const place = { part: "mlp", layer: undefined } as const;
  const linear = (name: string, out: number, inputs: number): ParameterSpec[] => [
    linearWeight(name, [out, inputs], place),
    linearBias(name, out, place),
  ];
  const layers = Array.from({ length: config.layers }, (_, layer) => {
    const part = names.layer(layer);
    return [
      ...[part.query, part.key, part.value, part.out].flatMap((name) => linear(name, D, D)),
      ...layerNormParameters(part.attentionNorm, D),
      ...linear(part.up, mlpWidth, D),
      ...linear(part.down, D, mlpWidth),
      ...layerNormParameters(part.norm, D),
    ];
  });
  return [
    embeddingTable(names.words, [vocabSize, D]),
    embeddingTable(names.positions, [positions, D]),
    ...(segments === 0 ? [] : [embeddingTable(names.segments, [segments, D])]),
    ...layerNormParameters(names.norm, D),
    ...layers.flat(),
    ...linear(names.pool, D, D),
    ...linear(names.labels, labels, D),
  ];
}

/** Logits [B, L] from each text's first token. */
export function encoderLogits(config: EncoderConfig, context: EncoderContext): Node {
  const { weights } = context;
  const { names, width: D } = config;
  let x = embedded(config, context);
  const [B = 0] = x.shape;
  for (let layer = 0; layer < config.layers; layer++) x = block(config, context, layer, x);
  const first = ops.reshape(ops.slice(x, 1, 0, 1), [B, D]);
  const pool = weights.linear(first, `${names.pool}.weight`, `${names.pool}.bias`);
  const pooled = config.pooled === "relu" ? ops.relu(pool) : ops.tanh(pool);
  return weights.linear(pooled, `${names.labels}.weight`, `${names.labels}.bias`);
}

function embeddingNames(body: string): Pick<EncoderNames, "words" | "positions" | "segments" | "norm"> {
  const name = `${body}.embeddings`;
  return {
    words: `${name}.word_embeddings.weight`,
    positions: `${name}.position_embeddings.weight`,
    segments: `${name}.token_type_embeddings.weight`,
    norm: `${name}.LayerNorm`,
  };
}

/** norm(words + positions + first segment), [B, T, D]. */
function embedded(config: EncoderConfig, context: EncoderContext): Node {
  const { weights, ids, positions } = context;
  const { names, segments, width: D } = config;
  const plain = ops.add(
    ops.embedding(weights.get(names.words), ids),
    ops.embedding(weights.get(names.positions), positions),
  );
  const sum =
    segments === 0 ? plain : ops.add(plain, ops.reshape(ops.slice(weights.get(names.segments), 0, 0, 1), [1, 1, D]));
  return layerNorm(context, names.norm, sum, config.eps);
}

/** norm(x + attention(x)), then norm of it plus its MLP: norms stand after each part. */
function block(config: EncoderConfig, context: EncoderContext, layer: number, x: Node): Node {
  const { weights } = context;
  const part = config.names.layer(layer);
  const through = (input: Node, name: string): Node => weights.linear(input, `${name}.weight`, `${name}.bias`);
  const heads = (name: string): Node => ops.transpose(splitHeads(through(x, name), config.heads), [0, 2, 1, 3]);
  const alpha = 1 / Math.sqrt(config.width / config.heads);
  const scores = ops.matmul(heads(part.query), heads(part.key), { transB: true, alpha });
  const probs = ops.softmax(ops.add(scores, context.keyBias));
  const joined = ops.reshape(ops.transpose(ops.matmul(probs, heads(part.value)), [0, 2, 1, 3]), x.shape);
  const attended = layerNorm(context, part.attentionNorm, ops.add(through(joined, part.out), x), config.eps);
  const wide = activation(config.activation)(through(attended, part.up));
  return layerNorm(context, part.norm, ops.add(through(wide, part.down), attended), config.eps);
}
