import { knownError } from "../../common/system-errors.ts";
import { contextOf, spanWithin } from "../../lens/answer-values.ts";
import { learnedAt } from "../../lens/pair-reading.ts";
import { endInDocument, fromDocument, type Passage, toDocument } from "../../lens/passages.ts";
import { type Reading, type ShownPart, tokenAt } from "../../lens/reading.ts";
import { type TokenSpan, tokenSpan, wordAt, wordSpans } from "../../lens/words.ts";
import type { AblationSet, FeatureId } from "../../protocol/ablation.ts";
import type { TokenDetail } from "../../protocol/lens.ts";
import type { LensUnit } from "../../protocol/lens-unit.ts";
import { readLearned } from "./learned-reading.ts";
import { type PassageReader, type RunReading, readingKey } from "./passage-reader.ts";

/** Looks up the explanations of features, for those that have one. */
export type FeatureWords = (runFolder: string, ids: readonly FeatureId[]) => Promise<ReadonlyMap<FeatureId, string>>;

/** A place in a document, with its reading. */
export interface Place {
  /** UTF-16 units of the document. */
  readonly offset: number;
  readonly ablation: AblationSet | null;
}

export interface TokenQuestion extends Place {
  /** Whether to describe the word at the place or the token alone; punctuation is always a token. */
  readonly unit: LensUnit;
  /** Number of features to list. */
  readonly features: number;
  /** Whether to read the base model too. */
  readonly withBase: boolean;
}

/** The token and word at a place, in the tuned model's reading of its passage. */
interface Located {
  readonly passage: Passage;
  /** What the model reads up to the passage's end at least; offsets of the reading are in it, and the passage begins at `from`. */
  readonly text: string;
  readonly from: number;
  readonly templated: boolean;
  readonly read: Reading;
  readonly token: number;
  /** The word that the token belongs to, or the token alone if there is none. */
  readonly word: TokenSpan;
}

/** Computes everything behind the numbers of single words and tokens. */
export class TokenDetails {
  readonly #reader: PassageReader;
  readonly #words: FeatureWords;

  constructor(reader: PassageReader, words: FeatureWords) {
    this.#reader = reader;
    this.#words = words;
  }

  /**
   * Describes the word or token at a place; null if there is none. Throws what the reading throws, except for the base
   * model: its part is then missing and `missing` says why.
   */
  async describe(reading: RunReading, question: TokenQuestion): Promise<TokenDetail | null> {
    const { lens, snapshot } = reading;
    const { unit, ablation, features } = question;
    const located = await this.#locate(reading, question);
    if (located === undefined) return null;
    const { passage, text, from, read, token, word } = located;
    const span = unit === "word" ? word : tokenSpan(read, token);
    const [base, learned] = [
      question.withBase ? await this.#ofBase(() => this.#base(reading, located)) : absent,
      lens.info.hasBase ? await this.#ofBase(() => this.#learnedAt(reading, located, span, ablation)) : absent,
    ];
    const detail = lens.explain(text, read, span, features, base.found);
    const [start, end] = [toDocument(passage, detail.start - from), endInDocument(passage, detail.end - from)];
    const fitted = lens.explainFitted(read, word, features);
    const explained = await this.#explained(reading, [detail.contributions, fitted?.contributions ?? []]);
    return {
      ...detail,
      learned: learned.found ?? null,
      start,
      end,
      text: snapshot.text.slice(start, end),
      tokens: tokensOf(read, text, span),
      contributions: explained(detail.contributions),
      fitted: fitted && { ...fitted, contributions: explained(fitted.contributions) },
      missing: base.missing ?? learned.missing ?? null,
    };
  }

  /**
   * The parts of a word's number in the probe or (`isFitted`) in the fit of log-ratios, and its rating. Undefined if
   * there is no token.
   */
  async parts(
    reading: RunReading,
    place: Place & { readonly isFitted: boolean; readonly features: number },
  ): Promise<{ readonly contributions: readonly ShownPart[]; readonly trueReward: number | null } | undefined> {
    const located = await this.#locate(reading, place);
    if (located === undefined) return undefined;
    const { text, read, word } = located;
    const { contributions } = place.isFitted
      ? (reading.lens.explainFitted(read, word, place.features) ?? { contributions: [] })
      : reading.lens.explain(text, read, word, place.features);
    return { contributions, trueReward: read.trueReward[word.firstToken] ?? null };
  }

  async #locate(reading: RunReading, { offset, ablation }: Place): Promise<Located | undefined> {
    const { lens, signal, passages } = reading;
    const passage = passages.at(offset);
    if (passage === undefined) return undefined;
    const { text, from, templated } = contextOf(passage);
    const read = await this.#reader.read(reading, passage, readingKey("implicit", ablation), () =>
      lens.read(text, { ablation, signal, templated }),
    );
    const token = tokenAt(read, from + fromDocument(passage, offset));
    if (token === undefined) return undefined;
    const word = wordAt(wordSpans(read, text, lens.ratings(text)), token) ?? tokenSpan(read, token);
    return { passage, text, from, templated, read, token, word };
  }

  #base(reading: RunReading, { passage, text, templated }: Located): Promise<Reading> {
    const { lens, signal } = reading;
    return this.#reader.read(reading, passage, readingKey("base", null), () =>
      lens.read(text, { model: "base", signal, templated }),
    );
  }

  /** How tuning changed the prediction of a word or token, in document offsets. */
  async #learnedAt(
    reading: RunReading,
    { passage, from }: Located,
    span: TokenSpan,
    ablation: AblationSet | null,
  ): Promise<NonNullable<TokenDetail["learned"]>> {
    const { read, text, at } = await readLearned(this.#reader, reading, passage, ablation);
    // The tokens of an answer are numbered from its beginning.
    const own = passage.answer === undefined ? span : spanWithin(read, span.start - from + at, span.end - from + at);
    const learned = learnedAt(read, text, own, reading.lens.ratings(text));
    const { word } = learned;
    if (word === null) return learned;
    const start = toDocument(passage, word.start - at);
    return { ...learned, word: { ...word, start, end: endInDocument(passage, word.end - at) } };
  }

  /** Reads from the base model. If it cannot be loaded, returns why, so that the rest can still be described. */
  async #ofBase<T>(read: () => Promise<T>): Promise<{ readonly found?: T; readonly missing?: string }> {
    try {
      return { found: await read() };
    } catch (error) {
      if (!isMissingPart(error)) throw error;
      return { missing: knownError(error)?.message ?? "" };
    }
  }

  async #explained(
    { lens }: RunReading,
    lists: readonly (readonly ShownPart[])[],
  ): Promise<(parts: readonly ShownPart[]) => TokenDetail["contributions"]> {
    const ids = [...new Set(lists.flat().map(({ id }) => id))];
    const words = lens.info.hasFeatureStore
      ? await this.#words(lens.info.runFolder, ids)
      : new Map<FeatureId, string>();
    return (parts) => parts.map((one) => ({ ...one, explanation: words.get(one.id) ?? null }));
  }
}

/** Whether an error means that something is unavailable, rather than a defect of the server or a cancellation. */
export function isMissingPart(error: unknown): boolean {
  const code = knownError(error)?.code;
  return code !== undefined && code !== "cancelled" && code !== "internal";
}

const absent: { readonly found?: undefined; readonly missing?: string } = {};

function tokensOf({ starts, ends }: Reading, text: string, { firstToken, endToken }: TokenSpan): string[] {
  return [...starts.subarray(firstToken, endToken)].map((start, at) => text.slice(start, ends[firstToken + at]));
}
