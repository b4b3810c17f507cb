import type { TokenRange } from "./offsets.ts";

/** A model's tokenizer, with exact offsets. Made by `loadTokenizer`. */
export interface Tokenizer {
  /** One more than the largest id. The model's vocab_size may be larger (padded), never smaller. */
  readonly vocabSize: number;
  /** Ids below `vocabSize` that no token has, rising: no text encodes to them, they decode to nothing, and no sampler should draw them. */
  readonly unusedIds: readonly number[];
  /** Begin of text, end of text and padding, as tokenizer_config.json names them; undefined where it does not. */
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly padId: number | undefined;
  /** Ids that mark structure and are no text of the document. */
  readonly specialIds: ReadonlySet<number>;

  /**
   * Encodes a text. Without the tokens that were added around it, ranges are ordered, cover the text from 0 to `text.length`
   * without gaps, and overlap only where tokens share a character (see `characterGroups`). Lone surrogates encode as U+FFFD,
   * as they would in a saved file. Throws `TokenizerDriftError` rather than give a wrong range.
   */
  encode(text: string, options?: EncodeOptions): Encoding;

  /**
   * The text of ids: exactly the encoded text after NFC where the model normalises (and a space for U+2581 where it uses that);
   * no clean-up of spaces. Bytes that form no character become U+FFFD. Throws `TokenIdError`.
   */
  decode(ids: Iterable<number>, options?: DecodeOptions): string;

  /** Decodes id by id, holding back bytes until their character is whole. */
  decodeStream(options?: DecodeOptions): TextStream;

  /** The text of one token, with U+FFFD for bytes that are part of a character. Throws `TokenIdError`. */
  tokenText(id: number): string;

  /** The token on one line with everything visible: "·film", "↵", "\xF0\x9F". For tables and hovers. Throws `TokenIdError`. */
  tokenLabel(id: number): string;
}

export interface EncodeOptions {
  /** Add what the model's post-processor adds, such as Gemma's BOS; these have empty ranges. Default true. */
  readonly addSpecialTokens?: boolean;
  /**
   * Give special tokens that are written out in the text ("<|endoftext|>") their ids. Default false: they are text like any
   * other, so that a document cannot end or restart the model's context. Hugging Face's default is true.
   */
  readonly parseSpecialTokens?: boolean;
}

export interface DecodeOptions {
  /** Leave special tokens out. Default false. */
  readonly skipSpecialTokens?: boolean;
}

/** Ids, and for each the range of the text, in UTF-16 code units, of the characters that it stands for wholly or in part. */
export interface Encoding {
  readonly ids: Int32Array;
  readonly ranges: readonly TokenRange[];
}

/** A decoder for a growing text. */
export interface TextStream {
  /** The characters that this id completes; may be empty. */
  push(id: number): string;
  /** What is left over at the end: U+FFFD for an unfinished character, else empty. */
  end(): string;
}
