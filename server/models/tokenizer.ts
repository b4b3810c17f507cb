/**
 * A model's tokenizer, read from its folder: `loadTokenizer`. `@huggingface/tokenizers` applies the BPE merges (it is
 * what @huggingface/transformers wraps; on its own it loads in 30 ms, without an ONNX runtime). That library gives no
 * offsets and always parses special tokens, so this code handles added tokens, normalisation and splitting, and
 * tracks offsets. Other folders import `tokenizer/` through this file.
 */
import { tokenizerFolderOf } from "./adapter.ts";
import { BpeTokenizer } from "./tokenizer/bpe-tokenizer.ts";
import { sharedIds, tokenizerDifference } from "./tokenizer/compare.ts";
import { VocabularyMismatchError } from "./tokenizer/errors.ts";
import { readTokenizer } from "./tokenizer/file.ts";
import type { Tokenizer } from "./tokenizer/types.ts";

export {
  CombiningRunError,
  TokenIdError,
  TokenizerDriftError,
  TokenizerFileError,
  TokenizerNotFoundError,
  UnreadableTextError,
  UnsupportedTokenizerError,
  VocabularyMismatchError,
} from "./tokenizer/errors.ts";
export {
  characterGroups,
  endlessMarksAt,
  type TokenGroup,
  type TokenRange,
  trimmedRange,
} from "./tokenizer/offsets.ts";
export type { DecodeOptions, EncodeOptions, Encoding, TextStream, Tokenizer } from "./tokenizer/types.ts";

/**
 * Loads tokenizer.json (and tokenizer_config.json, where there is one) of a checkpoint's folder; for adapters without
 * one, that of their model. Throws
 * `TokenizerNotFoundError`, `TokenizerFileError`, or `UnsupportedTokenizerError` for a pipeline of another family than
 * GPT-2/GPT-Neo, GPT-NeoX/Pythia, Llama 3/OLMo 2, Qwen 2 and 3, SmolLM2 and Gemma.
 */
export async function loadTokenizer(folder: string): Promise<Tokenizer> {
  return new BpeTokenizer(await readTokenizer(await tokenizerFolderOf(folder)));
}

/**
 * A tokenizer compared with another: their difference (see `tokenizerDifference`); ids below `sharedTokens` are in
 * both.
 */
export interface ComparedTokenizer {
  readonly tokenizer: Tokenizer;
  readonly difference: string | undefined;
  readonly sharedTokens: number;
}

/** Loads the tokenizer of `folder` and compares it with that of `other`. Throws what `loadTokenizer` throws. */
export async function loadTokenizers(folder: string, other: string): Promise<ComparedTokenizer> {
  const [own, others] = [
    await readTokenizer(await tokenizerFolderOf(folder)),
    await readTokenizer(await tokenizerFolderOf(other)),
  ];
  return {
    tokenizer: new BpeTokenizer(own),
    difference: tokenizerDifference(own, others),
    sharedTokens: sharedIds(own, others),
  };
}

/**
 * Throws `VocabularyMismatchError` if the tokenizer can produce an id for which a model of this vocab_size has no
 * row.
 */
export function assertMatchesVocabulary(tokenizer: Tokenizer, vocabSize: number): void {
  if (tokenizer.vocabSize > vocabSize) throw new VocabularyMismatchError(tokenizer.vocabSize - 1, vocabSize);
}
