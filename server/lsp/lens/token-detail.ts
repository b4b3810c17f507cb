import type { WordTokens } from "../../lens/fitted.ts";
import { learnedAt } from "../../lens/pair-reading.ts";
import { fromDocument, type Passage, toDocument } from "../../lens/passages.ts";
import { type Reading, type ShownPart, tokenAt } from "../../lens/reading.ts";
import type { AblationSet, FeatureId } from "../../protocol/ablation.ts";
import type { TokenDetail } from "../../protocol/lens.ts";
import { describeReading, type PassageReader, passageAt, type RunReading } from "./passage-reader.ts";

/** What features mean in words, where somebody has said so. */
export type FeatureWords = (runFolder: string, ids: readonly FeatureId[]) => Promise<ReadonlyMap<FeatureId, string>>;

export interface TokenQuestion {
  /** UTF-16 units of the document. */
  readonly offset: number;
  readonly ablation: AblationSet | null;
  /** How many of the features to list. */
  readonly features: number;
  /** Whether the base model is asked too. */
  readonly withBase: boolean;
}

/** The tokens of the word that a token belongs to; the token alone where it belongs to none. */
function wordTokens(
  { starts, ends }: Pick<Reading, "starts" | "ends">,
  passage: Passage,
  token: number,
  learned: TokenDetail["learned"],
): WordTokens {
  const word = learned?.word ?? null;
  if (word === null) return { first: token, end: token + 1 };
  const [from, to] = [fromDocument(passage, word.start), fromDocument(passage, word.end)];
  const first = ends.findIndex((end) => end > from);
  const after = starts.findIndex((start) => start >= to);
  return { first, end: after < 0 ? starts.length : after };
}

/** Everything behind single tokens' numbers. */
export class TokenDetails {
  readonly #reader: PassageReader;
  readonly #words: FeatureWords;

  constructor(reader: PassageReader, words: FeatureWords) {
    this.#reader = reader;
    this.#words = words;
  }

  /** Null where no token stands. Throws what the reading throws. */
  async describe(reading: RunReading, question: TokenQuestion): Promise<TokenDetail | null> {
    const { lens, signal, passages, snapshot } = reading;
    const { offset, ablation, features, withBase } = question;
    const passage = passageAt(passages, offset);
    if (passage === undefined) return null;
    const how = describeReading(withBase ? "both" : "implicit", ablation);
    const [read, base] = await this.#reader.read(reading, passage, how, async () => [
      await lens.read(passage.text, { ablation, signal }),
      withBase ? await lens.read(passage.text, { model: "base", signal }) : undefined,
    ]);
    const token = read === undefined ? undefined : tokenAt(read, fromDocument(passage, offset));
    if (read === undefined || token === undefined) return null;
    const learned = lens.info.hasBase ? await this.#learnedAt(reading, passage, token, ablation) : null;
    const detail = lens.explain(passage.text, read, token, features, base);
    const [start, end] = [toDocument(passage, detail.start), toDocument(passage, detail.end)];
    const fitted = lens.explainFitted(read, wordTokens(read, passage, token, learned), features);
    const ids = [...new Set([...detail.contributions, ...(fitted?.contributions ?? [])].map(({ id }) => id))];
    const words = lens.info.hasFeatureStore
      ? await this.#words(lens.info.runFolder, ids)
      : new Map<FeatureId, string>();
    const explained = (parts: readonly ShownPart[]) =>
      parts.map((one) => ({ ...one, explanation: words.get(one.id) ?? null }));
    return {
      ...detail,
      learned,
      start,
      end,
      text: snapshot.text.slice(start, end),
      contributions: explained(detail.contributions),
      fitted: fitted && { ...fitted, contributions: explained(fitted.contributions) },
    };
  }

  /** What tuning changed in the prediction of a token and its word, in document offsets. */
  async #learnedAt(
    reading: RunReading,
    passage: Passage,
    token: number,
    ablation: AblationSet | null,
  ): Promise<TokenDetail["learned"]> {
    const { lens, signal } = reading;
    const { text } = passage;
    const read = await this.#reader.read(reading, passage, describeReading("learned", ablation), () =>
      lens.readPair(text, { ablation, signal }),
    );
    const learned = learnedAt(read, text, token, lens.ratings(text));
    const { word } = learned;
    if (word === null) return learned;
    return {
      ...learned,
      word: { ...word, start: toDocument(passage, word.start), end: toDocument(passage, word.end) },
    };
  }
}
