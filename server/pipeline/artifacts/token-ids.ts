import type { Tokenizer } from "../../models/tokenizer.ts";
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

/** Token ids of texts, each with the prefix that the model expects. */
export function tokenIdsOf(tokenizer: Tokenizer, texts: readonly SourceText[], options: PrefixOptions): Int32Array[] {
  const prefix = prefixOf(options);
  return texts.map(({ text }) =>
    Int32Array.from([...prefix, ...tokenizer.encode(text, { addSpecialTokens: false }).ids]),
  );
}
