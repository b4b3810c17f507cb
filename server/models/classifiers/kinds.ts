/** The table of kinds of classifiers that are read from safetensors, by `model_type` of config.json. */

import { z } from "zod";
import { schemaProblems } from "../../common/schema-problems.ts";
import type { Node } from "../../engine/graph.ts";
import * as ops from "../../engine/ops.ts";
import type { ParameterSpec, Weights } from "../architecture.ts";
import { spellings } from "../checkpoint-names.ts";
import { parseConfig, supportedModelTypes } from "../config.ts";
import { ConfigError, UnknownArchitectureError } from "../errors.ts";
import { fileNamesOf, forwardFrom, parametersOf } from "../model.ts";
import { assertMatchesVocabulary, loadTokenizer } from "../tokenizer.ts";
import {
  type EncoderConfig,
  encoderLogits,
  encoderParameters,
  parseBert,
  parseDistilBert,
  parseRoberta,
  positionsOf,
} from "./encoder.ts";
import { loadTextEncoder } from "./text-encoder.ts";

/** What a classifier's program is built from. */
export interface ClassifierContext {
  readonly weights: Weights;
  readonly shape: readonly [B: number, T: number];
  /** i32 [B, T] */
  readonly ids: Node;
  readonly positions: Node;
  /** [B, 1, 1, T], where the first token is read: every token sees every other but padding. */
  readonly keyBias: Node | undefined;
  /** [B, T, 1], where the last token is read: 1 there, 0 elsewhere. */
  readonly last: Node | undefined;
}

/** A classifier as far as it needs no weights. */
export interface ClassifierParts {
  readonly parameters: readonly ParameterSpec[];
  /** Names under which a file may hold a parameter, ours first. */
  spellings(name: string): readonly string[];
  /** Tensors of real files that no classifier uses. */
  readonly ignorable: RegExp;
  /** As in an architecture. */
  readonly inputsFirst?: RegExp | undefined;
  /** Maximum number of tokens. */
  readonly contextLength: number;
  /** The token whose hidden state is classified. */
  readonly pooling: "first" | "last";
  /** The ids of a text, at most `contextLength`. */
  encode(text: string): readonly number[];
  /** The position of each id of a text. */
  positions(ids: readonly number[]): readonly number[];
  /** [B, L] */
  logits(context: ClassifierContext): Node;
}

const encoders: Readonly<Record<string, (json: unknown) => EncoderConfig>> = {
  distilbert: parseDistilBert,
  bert: parseBert,
  roberta: parseRoberta,
};

/** Whether the classifiers of a model type are read from safetensors. */
export function isReadFromWeights(modelType: unknown): boolean {
  return Object.hasOwn(encoders, String(modelType)) || supportedModelTypes.includes(String(modelType));
}

/**
 * A classifier of `labels` labels, by its config.json. Throws `ConfigError`, `UnknownArchitectureError` and what its
 * tokenizer's loader throws.
 */
export async function classifierParts(
  json: Readonly<Record<string, unknown>>,
  folder: string,
  labels: number,
): Promise<ClassifierParts> {
  const modelType = String(json["model_type"]);
  const parseEncoder = Object.hasOwn(encoders, modelType) ? encoders[modelType] : undefined;
  if (parseEncoder !== undefined) return await encoderParts(parsed(parseEncoder, json, folder), folder, labels);
  if (!supportedModelTypes.includes(modelType))
    throw new UnknownArchitectureError(modelType, [...Object.keys(encoders), ...supportedModelTypes]);
  return await decoderParts(json, folder, labels);
}

function parsed(parse: (json: unknown) => EncoderConfig, json: unknown, folder: string): EncoderConfig {
  try {
    return parse(json);
  } catch (error) {
    if (error instanceof z.ZodError)
      throw new ConfigError(`${folder}/config.json: ${schemaProblems(error)}`, { cause: error });
    throw error instanceof ConfigError ? new ConfigError(`${folder}/config.json: ${error.message}`) : error;
  }
}

async function encoderParts(config: EncoderConfig, folder: string, labels: number): Promise<ClassifierParts> {
  const tokenizer = await loadTextEncoder(folder, config.tokenizer);
  if (tokenizer.vocabSize > config.vocabSize)
    throw new ConfigError(
      `${folder}: the tokenizer has ids up to ${tokenizer.vocabSize - 1}, but config.json's vocab_size is ${config.vocabSize}; the two do not belong together`,
    );
  const contextLength = config.positions - config.firstPosition;
  return {
    parameters: encoderParameters(config, labels),
    spellings: (name) => [name],
    // RoBERTa's head has a pooling of its own; files have the body's all the same.
    ignorable: /\.embeddings\.position_ids$|^roberta\.pooler\.dense\./,
    contextLength,
    pooling: "first",
    encode: (text) => tokenizer.encode(text, contextLength),
    positions: (ids) => positionsOf(config, ids),
    logits: ({ keyBias, ...context }) => {
      if (keyBias === undefined) throw new TypeError("an encoder masks padding");
      return encoderLogits(config, { ...context, keyBias });
    },
  };
}

const scoreName = "score.weight";

/** A model of the architectures' table with a matrix `score` [L, D] in place of its head, over its last token. */
async function decoderParts(
  json: Readonly<Record<string, unknown>>,
  folder: string,
  labels: number,
): Promise<ClassifierParts> {
  const config = parseConfig(json, `${folder}/config.json`);
  const tokenizer = await loadTokenizer(folder);
  assertMatchesVocabulary(tokenizer, config.vocabSize);
  const { ignorable, inputsFirst } = fileNamesOf(config);
  const score = { name: scoreName, shape: [labels, config.width], role: "linear" } as const;
  return {
    parameters: [...parametersOf(config).filter(({ part }) => part !== "head"), score],
    spellings: (name) => spellings(name, config),
    ignorable,
    inputsFirst,
    contextLength: config.contextLength,
    pooling: "last",
    positions: (ids) => [...ids.keys()],
    // As transformers' tokenizers do by default.
    encode: (text) => [...tokenizer.encode(text, { parseSpecialTokens: true }).ids.subarray(0, config.contextLength)],
    logits: ({ weights, ids, positions, last }) => {
      if (last === undefined) throw new TypeError("a decoder reads a text's last token");
      // Padding stands after a text's tokens, which see only what is before them.
      const { hidden } = forwardFrom(config, { weights, ids, positions });
      return weights.linear(ops.sum(ops.mul(hidden, last), { axes: [1] }), scoreName);
    },
  };
}
