import type { TokenRange } from "./offsets.ts";

/** A model's tokenizer, with exact offsets. Made by `loadTokenizer`. */
export interface Tokenizer {
  /** One more than the largest id. The model's vocab_size may be larger (padded), never smaller. */
  readonly vocabSize: number;
  /** Ids below `vocabSize` without a token, ascending: no text encodes to them, and samplers should not draw them. */
  readonly unusedIds: readonly number[];
  /** Begin of text, end of text and padding, as tokenizer_config.json names them; undefined where it does not. */
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly padId: number | undefined;
  /** Ids that mark structure and are not part of the document's text. */
  readonly specialIds: ReadonlySet<number>;

  /**
   * Encodes a text. Apart from tokens added around it, ranges are ordered, cover the text from 0 to `text.length`
   * without gaps, and overlap only where tokens share a character (see `characterGroups`). Lone surrogates encode as
   * U+FFFD, as in a saved file. Throws `TokenizerDriftError` rather than return a wrong range.
   */
  encode(text: string, options?: EncodeOptions): Encoding;

  /**
   * Decodes ids to exactly the encoded text, after NFC where the model normalises (and with a space for U+2581 where it
   * uses that); no clean-up of spaces. Bytes that form no character become U+FFFD. Throws `TokenIdError`.
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
   * Encode special tokens written out in the text ("<|endoftext|>") as their ids. Default false: they are ordinary
   * text, so that a document cannot end or restart the model's context. Hugging Face's default is true.
   */
  readonly parseSpecialTokens?: boolean;
}

export interface DecodeOptions {
  /** Leave special tokens out. Default false. */
  readonly skipSpecialTokens?: boolean;
}

/** Ids, and per id the range (UTF-16 code units) of the characters that it covers wholly or in part. */
export interface Encoding {
  readonly ids: Int32Array;
  readonly ranges: readonly TokenRange[];
}

/** A decoder for a growing text. */
export interface TextStream {
  /** The characters that this id completes; may be empty. */
  push(id: number): string;
  /** Flushes at the end: U+FFFD for an unfinished character, else empty. */
  end(): string;
}
