/** Reads texts through two runs' models: the learned reward of one run minus that of the other. */
import type { PairInfo } from "../protocol/lens-state.ts";
import type { MessageWriter } from "../tasks/pairs/messages.ts";
import type { PairTexts } from "../tasks/pairs/pair-texts.ts";
import type { ReadOptions } from "./options.ts";
import type { PairLens, PairReader } from "./pair-lens.ts";
import { type PairReading, wordsOf } from "./pair-reading.ts";
import type { AnswerReading, PreferenceReading } from "./preference-reading.ts";

/** Facts about an open difference. */
export interface DifferenceInfo extends PairInfo {
  readonly difference: NonNullable<PairInfo["difference"]>;
}

/**
 * The learned reward of `a` minus that of `b`, in nats: token by token if the runs share a tokenizer, else word by word,
 * each word in the place of a token. It has no divergence.
 */
export class DifferenceLens implements PairReader {
  readonly a: PairLens;
  readonly b: PairLens;
  readonly info: DifferenceInfo;

  /** Closes both lenses when it is closed. */
  constructor(a: PairLens, b: PairLens, info: DifferenceInfo) {
    this.a = a;
    this.b = b;
    this.info = info;
  }

  async readPair(text: string, options: ReadOptions = {}): Promise<PairReading> {
    const [a, b] = await Promise.all([this.a.readPair(text, options), this.b.readPair(text, options)]);
    return this.info.difference.sharesTokens ? tokenDifference(a, b) : wordDifference(a, b, text);
  }

  /** Refuses answers of runs with different tokenizers. */
  async readPreference(texts: PairTexts, options: ReadOptions = {}): Promise<PreferenceReading> {
    if (!this.info.difference.sharesTokens)
      return { kind: "refused", why: "the runs' tokenizers are not the same, and answers are compared token by token" };
    const [a, b] = await Promise.all([this.a.readPreference(texts, options), this.b.readPreference(texts, options)]);
    if (a.kind === "refused") return a;
    if (b.kind === "refused") return b;
    return {
      kind: "read",
      chosen: answerDifference(a.chosen, b.chosen),
      rejected: answerDifference(a.rejected, b.rejected),
    };
  }

  get template(): MessageWriter | undefined {
    return this.a.template;
  }

  /** Frees everything; reads in progress reject. */
  async close(): Promise<void> {
    await Promise.all([this.a.close(), this.b.close()]);
  }
}

/** The difference at the tokens of `a`; null where `b` has not the same token or either has no value. */
export function tokenDifference(a: PairReading, b: PairReading): PairReading {
  const others = new Map([...b.starts].map((start, at) => [`${start} ${b.ends[at]}`, b.learned[at] ?? null]));
  const learned = a.learned.map((value, at) => minus(value, others.get(`${a.starts[at]} ${a.ends[at]}`) ?? null));
  return { starts: a.starts, ends: a.ends, learned, kl: learned.map(() => null) };
}

/** The difference at the words that both have; what lies between words has no value. */
export function wordDifference(a: PairReading, b: PairReading, text: string): PairReading {
  const others = new Map(wordsOf(b, text).map(({ start, end, learned }) => [`${start} ${end}`, learned]));
  const places: { readonly start: number; readonly end: number; readonly learned: number | null }[] = [];
  let last = 0;
  const fill = (end: number): void => {
    if (end > last) places.push({ start: last, end, learned: null });
  };
  for (const { start, end, learned } of wordsOf(a, text)) {
    fill(start);
    places.push({ start, end, learned: minus(learned, others.get(`${start} ${end}`) ?? null) });
    last = end;
  }
  fill(text.length);
  return {
    starts: Int32Array.from(places, ({ start }) => start),
    ends: Int32Array.from(places, ({ end }) => end),
    learned: places.map(({ learned }) => learned),
    kl: places.map(() => null),
  };
}

function answerDifference(a: AnswerReading, b: AnswerReading): AnswerReading {
  return {
    ...a,
    ...tokenDifference(a, b),
    sum: a.sum - b.sum,
    rest: a.rest - b.rest,
    read: a.read + b.read,
    isCut: a.isCut || b.isCut,
  };
}

function minus(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : a - b;
}
