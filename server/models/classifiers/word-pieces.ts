/** WordPiece tokenizers of encoders, by `@huggingface/tokenizers`: ids only, as no place in a classified text is shown. */

import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { z } from "zod";
import { LfpError, messageOf } from "../../common/errors.ts";
import { parseJson } from "../../common/json.ts";
import { schemaProblems } from "../../common/schema-problems.ts";
import { readTextFile } from "../../common/text-file.ts";
import { TokenizerFileError } from "../tokenizer/errors.ts";
import { refuseEndlessMarks } from "../tokenizer/offsets.ts";

// Types of the part of the library that is used; see tokenizer/pieces.ts.
declare module "@huggingface/tokenizers" {
  export class Tokenizer {
    constructor(tokenizer: object, config: object);
    encode(text: string): { readonly ids: readonly number[] };
  }
}

/** An encoder's tokenizer is none of WordPieces with BERT's steps. */
export class WordPieceError extends LfpError {
  readonly code = "input";

  constructor(path: string, problem: string) {
    super(
      `${path} is no WordPiece tokenizer with BERT's normaliser and pre-tokenizer (${problem}). Use a DistilBERT or BERT classifier with its own tokenizer.json`,
    );
  }
}

/** Turns texts into ids with the special tokens around them. */
export interface TextEncoder {
  readonly vocabSize: number;
  /** At most `most` ids, special tokens included; what does not fit is cut from the text's end. */
  encode(text: string, most: number): readonly number[];
}

const fileSchema = z.looseObject({
  normalizer: z.looseObject({ type: z.literal("BertNormalizer") }),
  pre_tokenizer: z.looseObject({ type: z.literal("BertPreTokenizer") }),
  model: z.looseObject({
    // Files from before 2022 leave the type out.
    type: z.literal("WordPiece").default("WordPiece"),
    vocab: z.record(z.string(), z.int().nonnegative()),
  }),
  added_tokens: z.array(z.looseObject({ id: z.int().nonnegative() })).default([]),
});

/** Reads tokenizer.json of a classifier's folder. Throws `TokenizerFileError` and `WordPieceError`. */
export async function loadWordPieces(folder: string): Promise<TextEncoder> {
  const path = join(folder, "tokenizer.json");
  let json: unknown;
  try {
    json = parseJson(await readTextFile(path, "tokenizer"));
  } catch (cause) {
    throw new TokenizerFileError(path, messageOf(cause), { cause });
  }
  const file = fileSchema.safeParse(json);
  if (!file.success) throw new WordPieceError(path, schemaProblems(file.error));
  const { model, added_tokens } = file.data;
  const ids = [...Object.values(model.vocab), ...added_tokens.map(({ id }) => id)];
  return encoderOf(new Tokenizer({ ...file.data, model: { ...model, type: "WordPiece" } }, {}), largest(ids) + 1);
}

/** BERT's template is one token before the text and one after it. */
const AROUND = 2;

function encoderOf(tokenizer: Tokenizer, vocabSize: number): TextEncoder {
  return {
    vocabSize,
    encode: (text, most) => {
      refuseEndlessMarks(text);
      const { ids } = tokenizer.encode(text.toWellFormed());
      return ids.length <= most ? ids : [...ids.slice(0, most - AROUND + 1), ...ids.slice(-1)];
    },
  };
}

function largest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), 0);
}
