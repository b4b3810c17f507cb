/**
 * Makes contrastive triples from texts and a lexicon, offline. The paper has GPT-4 rewrite the texts and publishes
 * nothing for the neutral version (reference/method.md 1.8); here all three versions differ only in their polar
 * words, by rule and seed.
 */
import { byCodeUnit } from "../../common/order.ts";
import { Pacer } from "../../common/pacer.ts";
import { Random } from "../../common/random.ts";
import { tokenizeEnglish } from "../../rewards/spacy-english/tokenizer.ts";
import type { SourceText, Triple, TripleCounts, TripleRequest, TripleSet, TripleSide } from "../task.ts";
import { functionWords } from "./function-words.ts";
import { type Passage, type PassageExtent, passagesOf, type Word, wordOf } from "./passages.ts";
import { type PolarWords, quartileWords } from "./polar-words.ts";
import { ReplacementPool } from "./replacements.ts";

export interface TripleSettings {
  readonly extent: PassageExtent;
  /**
   * Maximum numbers of positive and of negative target words: the ones most frequent in the texts. A probe can only
   * learn a word's value from several of its uses; the paper's test split has 180 positive and 128 negative words.
   */
  readonly wordsPerList: number;
  /** Maximum number of times that a word may be the positive, or the negative, target. */
  readonly maxPerWord: number;
  /** Maximum number of tokens up to and including the target; ignored without a tokenizer. */
  readonly maxTargetTokens: number;
  /**
   * Minimum count of a word in the texts, in lower case, to serve as neutral; of those, the four times
   * `wordsPerList` most frequent ones are taken.
   */
  readonly minNeutralCount: number;
}

export const defaultTripleSettings: TripleSettings = {
  extent: { kind: "everySentence" },
  wordsPerList: 100,
  maxPerWord: 30,
  maxTargetTokens: 128,
  minNeutralCount: 3,
};

/**
 * Makes triples of the passages that contain at least one word of one polarity's quartile and none of the other's.
 *
 * Passages of both polarities alternate in random order, so that words of either list occur in their own
 * surroundings and in the other's, and a limit leaves a balanced sample. Every polar word of a passage is replaced;
 * the first of them is the target.
 */
export async function makeSentimentTriples(
  texts: Iterable<SourceText>,
  lexicon: ReadonlyMap<string, number>,
  settings: TripleSettings,
  request: TripleRequest,
): Promise<TripleSet> {
  const polar = quartileWords(lexicon);
  const pacer = new Pacer(request.signal);
  const survey = await surveyOf(texts, polar, settings.extent, pacer);
  const random = Random.fromSeed(request.seed).fork("triples");
  const pools = poolsOf(survey, polar, lexicon, settings, request, random);
  const maker = new TripleMaker(pools, settings, request);
  const order = inTurns(
    random.fork("positive").shuffled(survey.positive),
    random.fork("negative").shuffled(survey.negative),
  );
  for (const candidate of order) {
    if (maker.triples.length >= (request.limit ?? Number.POSITIVE_INFINITY)) break;
    maker.add(candidate);
    await pacer.pause();
  }
  return { triples: maker.triples, counts: countsOf(survey, maker) };
}

type Polarity = "positive" | "negative";

/** A passage that can become a triple. */
interface Candidate {
  readonly id: string;
  readonly source: string;
  readonly original: Polarity;
  readonly passage: Passage;
  /** Its polar words, in order; at least one. */
  readonly hits: readonly [Word, ...Word[]];
}

/** Results of one pass over all texts. */
interface Survey {
  readonly texts: number;
  readonly passages: number;
  readonly positive: readonly Candidate[];
  readonly negative: readonly Candidate[];
  readonly frequencies: ReadonlyMap<string, number>;
  /** Counts in lower case: low for proper names. */
  readonly lowerCase: ReadonlyMap<string, number>;
}

async function surveyOf(
  texts: Iterable<SourceText>,
  polar: PolarWords,
  extent: PassageExtent,
  pacer: Pacer,
): Promise<Survey> {
  const found: Record<Polarity, Candidate[]> = { positive: [], negative: [] };
  const frequencies = new Map<string, number>();
  const lowerCase = new Map<string, number>();
  const seen = new Set<string>();
  let [textCount, passageCount] = [0, 0];
  for (const { id, text } of texts) {
    const tokens = tokenizeEnglish(text);
    for (const token of tokens) {
      const word = wordOf(token);
      if (word === undefined) continue;
      increment(frequencies, word.key);
      if (text.slice(word.start, word.end) === word.key) increment(lowerCase, word.key);
    }
    for (const [index, passage] of passagesOf(text, tokens, extent).entries()) {
      passageCount += 1;
      const candidate = seen.has(passage.text) ? undefined : candidateOf(`${id}#${index}`, id, passage, polar);
      seen.add(passage.text);
      if (candidate !== undefined) found[candidate.original].push(candidate);
    }
    textCount += 1;
    await pacer.pause();
  }
  return { texts: textCount, passages: passageCount, ...found, frequencies, lowerCase };
}

function candidateOf(id: string, source: string, passage: Passage, polar: PolarWords): Candidate | undefined {
  const [positive, negative] = [polar.positive, polar.negative].map((set) =>
    passage.words.filter(({ key }) => set.has(key)),
  );
  const [first, ...rest] = [...(positive ?? []), ...(negative ?? [])];
  const isMixed = (positive ?? []).length > 0 && (negative ?? []).length > 0;
  if (first === undefined || isMixed) return undefined;
  const original = polar.positive.has(first.key) ? "positive" : "negative";
  return { id, source, original, passage, hits: [first, ...rest] };
}

type Pools = Readonly<Record<keyof PolarWords | "neutral", ReplacementPool>>;

function poolsOf(
  { frequencies, lowerCase }: Survey,
  polar: PolarWords,
  lexicon: ReadonlyMap<string, number>,
  { wordsPerList, maxPerWord, minNeutralCount }: TripleSettings,
  { tokenizer }: TripleRequest,
  random: Random,
): Pools {
  const tokensOf = (text: string): number => tokenizer?.encode(text, { addSpecialTokens: false }).ids.length ?? 1;
  const frequencyOf = (word: string): number => frequencies.get(word) ?? 0;
  const mostUsed = (words: Iterable<string>, count: number): string[] =>
    [...words].sort((a, b) => frequencyOf(b) - frequencyOf(a) || byCodeUnit(a, b)).slice(0, count);
  const pool = (name: string, words: readonly string[], maxUses: number): ReplacementPool =>
    new ReplacementPool({ words, frequencyOf, tokensOf, maxUses, random: random.fork(`replace ${name}`) });
  const isNeutral = ([word, count]: readonly [string, number]): boolean =>
    count >= minNeutralCount && word.length > 2 && !lexicon.has(word) && !functionWords.has(word);
  const neutral = [...lowerCase].filter(isNeutral).map(([word]) => word);
  return {
    positive: pool("positive", mostUsed(polar.positive, wordsPerList), maxPerWord),
    negative: pool("negative", mostUsed(polar.negative, wordsPerList), maxPerWord),
    neutral: pool("neutral", mostUsed(neutral, 4 * wordsPerList), Number.POSITIVE_INFINITY),
  };
}

/** Builds triples and counts outcomes. */
class TripleMaker {
  readonly triples: Triple[] = [];
  unlisted = 0;
  overCap = 0;
  tooLong = 0;
  equalTokens = 0;
  readonly #pools: Pools;
  readonly #settings: TripleSettings;
  readonly #tokenizer: TripleRequest["tokenizer"];

  constructor(pools: Pools, settings: TripleSettings, { tokenizer }: TripleRequest) {
    this.#pools = pools;
    this.#settings = settings;
    this.#tokenizer = tokenizer;
  }

  add({ id, source, original, passage, hits }: Candidate): void {
    const opposite = original === "positive" ? "negative" : "positive";
    const [target] = hits;
    if (!this.#pools[original].has(target.key)) {
      this.unlisted += 1;
      return;
    }
    if (!this.#pools[original].hasRoom(target.key)) {
      this.overCap += 1;
      return;
    }
    const own: TripleSide = { text: passage.text, word: target.key, start: target.start, end: target.end };
    const other = this.#rewritten(passage, hits, opposite);
    const neutral = this.#rewritten(passage, hits, "neutral");
    if (other === undefined || neutral === undefined) {
      this.overCap += 1;
      return;
    }
    const tokens = [own, other, neutral].map((side) => this.#tokensOf(side));
    if (tokens.some(({ upTo }) => upTo > this.#settings.maxTargetTokens)) {
      this.tooLong += 1;
      return;
    }
    this.#pools[original].use(own.word);
    this.#pools[opposite].use(other.word);
    this.#pools.neutral.use(neutral.word);
    if (tokens.every(({ target }) => target > 0 && target === tokens[0]?.target)) this.equalTokens += 1;
    const polar = original === "positive" ? { positive: own, negative: other } : { positive: other, negative: own };
    this.triples.push({ id, source, original, ...polar, neutral });
  }

  /** The passage with every hit replaced by a word of this kind; undefined when no candidate is left. */
  #rewritten(passage: Passage, hits: readonly Word[], kind: keyof Pools): TripleSide | undefined {
    let text = "";
    let at = 0;
    let target: Pick<TripleSide, "word" | "start" | "end"> | undefined;
    for (const { start, end } of hits) {
      text += passage.text.slice(at, start);
      const written = passage.text.slice(start, end);
      const replacement = this.#pools[kind].choose({ written, before: text });
      if (replacement === undefined) return undefined;
      target ??= { word: replacement.word, start: text.length, end: text.length + replacement.written.length };
      text += replacement.written;
      at = end;
    }
    return target === undefined ? undefined : { text: text + passage.text.slice(at), ...target };
  }

  /** Numbers of tokens up to and including the target, and of the target alone; 0 without a tokenizer. */
  #tokensOf({ text, start, end }: TripleSide): { readonly upTo: number; readonly target: number } {
    const ranges = this.#tokenizer?.encode(text.slice(0, end), { addSpecialTokens: false }).ranges ?? [];
    return { upTo: ranges.length, target: ranges.filter((range) => range.end > start).length };
  }
}

function countsOf({ texts, passages, positive, negative }: Survey, maker: TripleMaker): TripleCounts {
  const { triples, equalTokens, unlisted, overCap, tooLong } = maker;
  const different = (side: "positive" | "neutral" | "negative"): number =>
    new Set(triples.map((triple) => triple[side].word)).size;
  return {
    texts,
    passages,
    positivePassages: positive.length,
    negativePassages: negative.length,
    triples: triples.length,
    positiveWords: different("positive"),
    neutralWords: different("neutral"),
    negativeWords: different("negative"),
    equalTokens,
    unlisted,
    overCap,
    tooLong,
  };
}

/** Alternates between the lists, then yields the rest of the longer one. */
function* inTurns<T>(a: readonly T[], b: readonly T[]): Generator<T> {
  for (let i = 0; i < Math.max(a.length, b.length); i++) yield* [...a.slice(i, i + 1), ...b.slice(i, i + 1)];
}

function increment(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
