import { TextDecoder } from "node:util";
import { type AddedToken, type AddedTokenSplitter, addedTokenSplitter } from "./added-tokens.ts";
import { SPACE_MARK, visibleText, vocabularyBytes } from "./bytes.ts";
import { TokenIdError } from "./errors.ts";
import type { TokenizerSpec } from "./file.ts";
import { type MappedText, normaliseNfc, type TokenRange } from "./offsets.ts";
import { PieceEncoder } from "./pieces.ts";
import type { DecodeOptions, EncodeOptions, Encoding, TextStream, Tokenizer } from "./types.ts";

/** A `Tokenizer` of the two supported families. */
export class BpeTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly padId: number | undefined;
  readonly specialIds: ReadonlySet<number>;
  readonly #spec: TokenizerSpec;
  readonly #pieces: PieceEncoder;
  readonly #splitters: Record<"asText" | "parsed", { given: AddedTokenSplitter; normalised: AddedTokenSplitter }>;
  readonly #addedIds: ReadonlySet<number>;
  readonly #bytes = new Map<number, Uint8Array>();
  #unusedIds: readonly number[] | undefined;

  constructor(spec: TokenizerSpec) {
    this.#spec = spec;
    this.bosId = spec.bosId;
    this.eosId = spec.eosId;
    this.padId = spec.padId;
    this.specialIds = new Set(spec.addedTokens.filter(({ special }) => special).map(({ id }) => id));
    this.#pieces = new PieceEncoder(spec);
    const plain = spec.addedTokens.filter(({ special }) => !special);
    this.#splitters = { asText: this.#splittersFor(plain), parsed: this.#splittersFor(spec.addedTokens) };
    this.#addedIds = new Set(spec.addedTokens.map(({ id }) => id));
    this.vocabSize = 0;
    for (const id of spec.tokenOf.keys()) if (id >= this.vocabSize) this.vocabSize = id + 1;
  }

  // Lazy: callers read it only after checking that the vocabulary fits a model; until then ids may be arbitrarily
  // large.
  get unusedIds(): readonly number[] {
    const { tokenOf } = this.#spec;
    this.#unusedIds ??=
      tokenOf.size === this.vocabSize
        ? []
        : Array.from({ length: this.vocabSize }, (_, id) => id).filter((id) => !tokenOf.has(id));
    return this.#unusedIds;
  }

  encode(text: string, { addSpecialTokens = true, parseSpecialTokens = false }: EncodeOptions = {}): Encoding {
    const ids: number[] = [];
    const ranges: TokenRange[] = [];
    const add = (id: number, start: number, end: number) => {
      ids.push(id);
      ranges.push({ start, end });
    };
    if (addSpecialTokens) for (const id of this.#spec.before) add(id, 0, 0);
    const { given, normalised } = this.#splitters[parseSpecialTokens ? "parsed" : "asText"];
    const wellFormed = text.toWellFormed();
    for (const section of given(wellFormed)) {
      if (section.id !== undefined) {
        add(section.id, section.start, section.end);
        continue;
      }
      const mapped = this.#normalise(wellFormed.slice(section.start, section.end));
      for (const part of normalised(mapped.text)) {
        if (part.id !== undefined) {
          add(part.id, originalStart(mapped, section.start, part.start), originalEnd(mapped, section.start, part.end));
        } else this.#encodePart(mapped, section.start, part, add);
      }
    }
    if (addSpecialTokens) for (const id of this.#spec.after) add(id, text.length, text.length);
    return { ids: Int32Array.from(ids), ranges };
  }

  decode(ids: Iterable<number>, { skipSpecialTokens = false }: DecodeOptions = {}): string {
    const parts: Uint8Array[] = [];
    for (const id of ids) {
      const bytes = this.#bytesOf(id);
      if (!(skipSpecialTokens && this.specialIds.has(id))) parts.push(bytes);
    }
    return utf8Decoder().decode(Buffer.concat(parts));
  }

  decodeStream({ skipSpecialTokens = false }: DecodeOptions = {}): TextStream {
    const decoder = utf8Decoder();
    return {
      push: (id) => {
        const bytes = this.#bytesOf(id);
        return skipSpecialTokens && this.specialIds.has(id) ? "" : decoder.decode(bytes, { stream: true });
      },
      end: () => decoder.decode(),
    };
  }

  tokenText(id: number): string {
    return utf8Decoder().decode(this.#bytesOf(id));
  }

  tokenLabel(id: number): string {
    const bytes = this.#bytesOf(id);
    return bytes === noBytes ? `[no token ${id}]` : visibleText(bytes);
  }

  /** The text that an id decodes to, as UTF-8, which may be part of a character. */
  #bytesOf(id: number): Uint8Array {
    const known = this.#bytes.get(id);
    if (known) return known;
    const token = this.#spec.tokenOf.get(id);
    if (token === undefined && Number.isInteger(id) && id >= 0 && id < this.vocabSize) return noBytes;
    if (token === undefined) throw new TokenIdError(id, this.vocabSize);
    const { family } = this.#spec;
    const text = family === "byte-fallback" ? token.replaceAll(SPACE_MARK, " ") : token;
    const bytes = this.#addedIds.has(id) ? utf8.encode(text) : vocabularyBytes(family, text);
    this.#bytes.set(id, bytes);
    return bytes;
  }

  /** Encodes a part without added tokens of a normalised section; `base` is where the section starts in the text. */
  #encodePart(
    mapped: MappedText,
    base: number,
    part: TokenRange,
    add: (id: number, start: number, end: number) => void,
  ): void {
    const text = mapped.text.slice(part.start, part.end);
    this.#pieces.split(text, (start, end) => {
      const { ids, starts, ends } = this.#pieces.encode(text.slice(start, end));
      const at = part.start + start;
      for (const [i, id] of ids.entries()) {
        add(id, originalStart(mapped, base, at + (starts[i] ?? 0)), originalEnd(mapped, base, at + (ends[i] ?? 0)));
      }
    });
  }

  #normalise(text: string): MappedText {
    if (this.#spec.family === "byte-fallback") return { text: text.replaceAll(" ", SPACE_MARK) };
    return this.#spec.nfc ? normaliseNfc(text) : { text };
  }

  #splittersFor(tokens: readonly AddedToken[]): { given: AddedTokenSplitter; normalised: AddedTokenSplitter } {
    const given = new Map<string, number>();
    const normalised = new Map<string, number>();
    for (const token of tokens) {
      if (token.normalized) normalised.set(this.#normalise(token.content).text, token.id);
      else given.set(token.content, token.id);
    }
    return { given: addedTokenSplitter(given), normalised: addedTokenSplitter(normalised) };
  }
}

/** Where a unit of the normalised section starts in the original text. */
function originalStart({ starts }: MappedText, base: number, unit: number): number {
  return base + (starts?.[unit] ?? unit);
}

/** Where the unit before `unit` of the normalised section ends in the original text. */
function originalEnd({ ends }: MappedText, base: number, unit: number): number {
  return base + (ends?.[unit - 1] ?? unit);
}

const utf8 = new TextEncoder();
/** What an id without a token decodes to. */
const noBytes = new Uint8Array();

/** A decoder that keeps U+FEFF at the start as text. */
function utf8Decoder(): TextDecoder {
  return new TextDecoder("utf-8", { ignoreBOM: true });
}
