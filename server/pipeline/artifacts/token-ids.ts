import type { Tokenizer } from "../../models/tokenizer.ts";
import type { SourceText } from "./texts.ts";

export interface PrefixOptions {
  /** Whether the beginning-of-text token stands before every text, as the model was trained. */
  readonly prependBos: boolean;
  readonly bosId: number | undefined;
}

/** Tokens that stand before every text. */
export function prefixOf({ prependBos, bosId }: PrefixOptions): readonly number[] {
  return prependBos && bosId !== undefined ? [bosId] : [];
}

/** Token ids of texts, each begun as the model expects it. */
export function tokenIdsOf(tokenizer: Tokenizer, texts: readonly SourceText[], options: PrefixOptions): Int32Array[] {
  const prefix = prefixOf(options);
  return texts.map(({ text }) =>
    Int32Array.from([...prefix, ...tokenizer.encode(text, { addSpecialTokens: false }).ids]),
  );
}
