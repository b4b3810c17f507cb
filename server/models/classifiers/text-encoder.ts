/** Tokenizers of classifiers, by `@huggingface/tokenizers`: ids only, as no place in a classified text is shown. */

import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { z } from "zod";
import { LfpError, messageOf } from "../../common/errors.ts";
import { schemaProblems } from "../../common/schema-problems.ts";
import { readTokenizerConfigJson, readTokenizerJson } from "../tokenizer/file.ts";
import { refuseEndlessMarks } from "../tokenizer/offsets.ts";

// Types of the part of the library that is used; see tokenizer/pieces.ts.
declare module "@huggingface/tokenizers" {
  export class Tokenizer {
    constructor(tokenizer: object, config: object);
    encode(text: string, options?: { readonly add_special_tokens?: boolean }): { readonly ids: readonly number[] };
    decode(ids: number[]): string;
  }
}

/** A classifier's tokenizer is not of the kind that its architecture has. */
export class ClassifierTokenizerError extends LfpError {
  readonly code = "input";

  constructor(path: string, expected: string, problem: string) {
    super(`${path} is no ${expected} (${problem}). Use a classifier with its own tokenizer.json`);
  }
}

/** Turns texts into ids with the special tokens around them. */
export interface TextEncoder {
  readonly vocabSize: number;
  /** At most `most` ids, special tokens included; what does not fit is cut from the text's end. */
  encode(text: string, most: number): readonly number[];
}

/** Kinds of tokenizers whose ids are tested against transformers', and `any`, which the library alone answers for. */
export type TextEncoderKind = "wordPieces" | "bytePairs" | "any";

const vocabulary = z.record(z.string(), z.int().nonnegative());
const addedTokens = z.array(z.looseObject({ id: z.int().nonnegative() })).default([]);

const fileSchemas = {
  wordPieces: z.looseObject({
    normalizer: z.looseObject({ type: z.literal("BertNormalizer") }),
    pre_tokenizer: z.looseObject({ type: z.literal("BertPreTokenizer") }),
    model: z.looseObject({
      // Files from before 2022 leave the type out.
      type: z.literal("WordPiece").default("WordPiece"),
      vocab: vocabulary,
    }),
    added_tokens: addedTokens,
  }),
  bytePairs: z.looseObject({
    normalizer: z.null().optional(),
    pre_tokenizer: z.looseObject({ type: z.literal("ByteLevel"), use_regex: z.literal(true).default(true) }),
    model: z.looseObject({
      type: z.literal("BPE").default("BPE"),
      vocab: vocabulary,
      dropout: z.null().optional(),
    }),
    added_tokens: addedTokens,
  }),
  any: z.looseObject({
    model: z.looseObject({
      type: z.enum(["BPE", "WordPiece", "Unigram"]).optional(),
      vocab: z.union([vocabulary, z.array(z.unknown())]),
    }),
    added_tokens: addedTokens,
  }),
} as const satisfies Record<TextEncoderKind, z.ZodType>;

const kindsInWords: Readonly<Record<TextEncoderKind, string>> = {
  wordPieces: "WordPiece tokenizer with BERT's normaliser and pre-tokenizer",
  bytePairs: "byte-level BPE tokenizer as RoBERTa's",
  any: "tokenizer",
};

/**
 * Reads tokenizer.json of a classifier's folder. Throws `TokenizerNotFoundError`, `TokenizerFileError`, and
 * `ClassifierTokenizerError` for a tokenizer of another kind.
 */
export async function loadTextEncoder(folder: string, kind: TextEncoderKind): Promise<TextEncoder> {
  const path = join(folder, "tokenizer.json");
  const file = fileSchemas[kind].safeParse(await readTokenizerJson(path));
  if (!file.success) throw new ClassifierTokenizerError(path, kindsInWords[kind], schemaProblems(file.error));
  const { model, added_tokens } = file.data;
  const held = Array.isArray(model.vocab) ? [model.vocab.length - 1] : Object.values(model.vocab);
  const ids = [...held, ...added_tokens.map(({ id }) => id)];
  try {
    return encoderOf(new Tokenizer(file.data, {}), largest(ids) + 1, new Set(added_tokens.map(({ id }) => id)));
  } catch (cause) {
    throw new ClassifierTokenizerError(path, kindsInWords[kind], messageOf(cause));
  }
}

const lengthSchema = z.looseObject({ model_max_length: z.number().positive().nullish() });

/**
 * The most tokens that tokenizer_config.json gives a text; undefined where it has none, or a number that means none.
 * Throws `TokenizerFileError` for a damaged file.
 */
export async function readModelMaxLength(folder: string): Promise<number | undefined> {
  const json = await readTokenizerConfigJson(join(folder, "tokenizer_config.json"));
  const most = lengthSchema.safeParse(json).data?.model_max_length ?? undefined;
  return most !== undefined && Number.isSafeInteger(most) ? most : undefined;
}

function encoderOf(tokenizer: Tokenizer, vocabSize: number, added: ReadonlySet<number>): TextEncoder {
  const { before, after } = template(tokenizer, vocabSize, added);
  return {
    vocabSize,
    encode: (text, most) => {
      refuseEndlessMarks(text);
      const { ids } = tokenizer.encode(text.toWellFormed(), { add_special_tokens: false });
      const room = Math.max(0, most - before.length - after.length);
      return [...before, ...ids.slice(0, room), ...after];
    },
  };
}

/** The special tokens around a text, found with one that has tokens of its own: a letter, or what a token stands for. */
function template(
  tokenizer: Tokenizer,
  vocabSize: number,
  added: ReadonlySet<number>,
): { before: readonly number[]; after: readonly number[] } {
  for (let id = -1; id < vocabSize; id++) {
    if (added.has(id)) continue;
    const text = id < 0 ? "a" : tokenizer.decode([id]);
    const { ids: plain } = tokenizer.encode(text, { add_special_tokens: false });
    if (plain.length === 0) continue;
    const { ids } = tokenizer.encode(text);
    const start = ids.findIndex((_, at) => plain.every((own, offset) => ids[at + offset] === own));
    return { before: ids.slice(0, start), after: ids.slice(start + plain.length) };
  }
  throw new RangeError("no text has a token in it");
}

function largest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), 0);
}
