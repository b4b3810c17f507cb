import type { Encoding, Tokenizer } from "../../models/tokenizer.ts";
import type { SourceText } from "./texts.ts";

export interface PrefixOptions {
  /** Whether to prepend the beginning-of-text token to every text, as in the model's training. */
  readonly prependBos: boolean;
  readonly bosId: number | undefined;
}

/** Tokens to prepend to every text. */
export function prefixOf({ prependBos, bosId }: PrefixOptions): readonly number[] {
  return prependBos && bosId !== undefined ? [bosId] : [];
}

/**
 * A text's tokens, without those that stand before every text. What a chat template wrote may begin with these: they
 * are left out, so that the model does not read them twice.
 */
export function encodingOf(tokenizer: Tokenizer, source: SourceText, prefix: readonly number[]): Encoding {
  const isTemplated = source.templated === true;
  const { ids, ranges } = tokenizer.encode(source.text, { addSpecialTokens: false, parseSpecialTokens: isTemplated });
  const hasPrefix = isTemplated && prefix.every((id, at) => ids[at] === id);
  return hasPrefix ? { ids: ids.subarray(prefix.length), ranges: ranges.slice(prefix.length) } : { ids, ranges };
}

/** Token ids of texts, each with the prefix that the model expects. */
export function tokenIdsOf(tokenizer: Tokenizer, texts: readonly SourceText[], options: PrefixOptions): Int32Array[] {
  const prefix = prefixOf(options);
  return texts.map((text) => Int32Array.from([...prefix, ...encodingOf(tokenizer, text, prefix).ids]));
}
