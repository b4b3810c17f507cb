/**
 * The learned lexicon: how tuning changed the probability of every rated word, computed from log-ratios alone and
 * compared with the ratings, which do not enter it.
 */
import { byCodeUnit } from "../common/order.ts";
import { Pacer } from "../common/pacer.ts";
import type { Random } from "../common/random.ts";
import { kendallTau } from "../statistics/kendall.ts";
import { mean } from "../statistics/moments.ts";
import { percentiles } from "../statistics/percentile.ts";
import { auroc } from "../statistics/ranks.ts";
import { bootstrapInterval, pick } from "../statistics/resampling.ts";
import { wilsonInterval } from "../statistics/wilson.ts";
import type { LearnedPlaces } from "./collect.ts";
import type { Learned, LearnedSettings, LearnedWord } from "./report-types.ts";
import { addDrawn, type PlacesByText } from "./text-bootstrap.loops.ts";

/**
 * Computes the learned lexicon, a pure function of places and settings; `random` is only forked. Throws the signal's
 * reason soon after it is aborted.
 */
export async function learnedLexicon(
  found: LearnedPlaces,
  settings: LearnedSettings,
  random: Random,
  signal?: AbortSignal,
): Promise<Learned> {
  const pacer = new Pacer(signal);
  const words = await wordMeans(found, settings, { random: random.fork("texts"), pacer });
  const { list, centre } = words;
  const tokens = found.tokens.reduce((sum, count) => sum + count, 0);
  return {
    format: 1,
    settings,
    texts: found.tokens.length,
    tokens,
    places: found.word.length,
    kl: await klPerToken(found, settings, { random: random.fork("kl"), pacer }),
    centre,
    statistics: await statisticsOf(
      list.filter(({ places }) => places >= settings.minPlaces),
      settings,
      random.fork("words"),
      pacer,
    ),
    words: list,
  };
}

/** Settings of a statistic that draws at random. */
interface Draws {
  readonly random: Random;
  readonly pacer: Pacer;
}

type Statistics = Learned["statistics"];

/** Agreement of the order of words by centred means with their order by ratings. Intervals by bootstrap over words. */
export async function statisticsOf(
  words: readonly Pick<LearnedWord, "word" | "rating" | "centred">[],
  { resamples }: Pick<LearnedSettings, "resamples">,
  random: Random,
  pacer: Pacer = new Pacer(),
): Promise<Statistics> {
  const values = Float64Array.from(words, ({ centred }) => centred);
  const ratings = Float64Array.from(words, ({ rating }) => rating);
  const groups = words.map(({ word }) => word);
  const overWords = async (name: string, statistic: (rows: Int32Array) => number): Promise<Learned["kl"]> => {
    const options = { random: random.fork(name), resamples, pacer };
    const { estimate, low, high } = await bootstrapInterval(groups, statistic, options);
    return { value: orNull(estimate), low: orNull(low), high: orNull(high) };
  };
  const rated = words.flatMap(({ rating }, row) => (rating === 0 ? [] : [row]));
  const aurocOf = (rows: Int32Array): number => {
    const polar = rows.filter((row) => ratings[row] !== 0);
    return auroc(
      pick(values, polar),
      pick(ratings, polar).map((rating) => (rating > 0 ? 1 : 0)),
    );
  };
  return {
    words: words.length,
    tau: await overWords("tau", (rows) => kendallTau(pick(values, rows), pick(ratings, rows), "asymptotic").tau),
    auroc: rated.length === 0 ? { value: null, low: null, high: null } : await overWords("auroc", aurocOf),
    signs: { positive: signsOf(words, 1), negative: signsOf(words, -1) },
  };
}

function signsOf(
  words: readonly Pick<LearnedWord, "rating" | "centred">[],
  sign: 1 | -1,
): Statistics["signs"]["positive"] {
  const own = words.filter(({ rating }) => Math.sign(rating) === sign);
  const right = own.filter(({ centred }) => Math.sign(centred) === sign).length;
  const { proportion, low, high } = wilsonInterval(right, own.length);
  return { right, of: own.length, share: orNull(proportion), low, high };
}

/**
 * Means of words, and their distances from the mean over words, with intervals: a bootstrap over whole texts, which
 * recomputes the mean over words in every resample.
 */
async function wordMeans(
  found: LearnedPlaces,
  { minPlaces, resamples }: LearnedSettings,
  { random, pacer }: Draws,
): Promise<{ readonly list: LearnedWord[]; readonly centre: number }> {
  const { words } = found;
  const byText = placesByText(found);
  const counting = { sums: new Float64Array(words.length), counts: new Float64Array(words.length) };
  const { sums, counts } = counting;
  addDrawn(byText, new Uint16Array(found.tokens.length).fill(1), sums, counts);
  const places = Array.from(counts);
  const enough = [...words.keys()].filter((word) => (places[word] ?? 0) >= minPlaces);
  const central = enough.length > 0 ? enough : [...words.keys()];
  const centredBy = (): { readonly means: Float64Array; readonly centre: number } => {
    const means = sums.map((sum, word) => sum / (counts[word] ?? 0));
    return {
      means,
      centre: meanOrZero(central.flatMap((word) => means[word] ?? []).filter((value) => !Number.isNaN(value))),
    };
  };
  const { means, centre } = centredBy();
  const texts = textsOf(byText, words.length);
  const drawn = words.map(() => new Float64Array(resamples).fill(Number.NaN));
  const times = new Uint16Array(found.tokens.length);
  for (let resample = 0; resample < resamples; resample += 1) {
    await pacer.pause();
    drawInto(times, random);
    addDrawn(byText, times, sums, counts);
    const own = centredBy();
    for (const [word, values] of drawn.entries()) values[resample] = (own.means[word] ?? Number.NaN) - own.centre;
  }
  const list = words.map(({ word, rating }, at): LearnedWord => {
    const value = means[at] ?? Number.NaN;
    const interval = middleOf(drawn[at] ?? new Float64Array());
    return {
      word,
      rating,
      places: places[at] ?? 0,
      texts: texts[at] ?? 0,
      mean: value,
      centred: value - centre,
      ...interval,
    };
  });
  return { list: list.sort((a, b) => b.places - a.places || byCodeUnit(a.word, b.word)), centre };
}

/**
 * Null if more than a fifth of the resamples lack the word: the interval would describe only the texts that happen
 * to have it.
 */
function middleOf(values: Float64Array): Pick<LearnedWord, "low" | "high"> {
  const known = values.filter((value) => !Number.isNaN(value));
  if (known.length < 0.8 * values.length || known.length === 0) return { low: null, high: null };
  const [low = null, high = null] = percentiles(known, [2.5, 97.5]);
  return { low, high };
}

/** Draws as many texts as there are, with replacement, and counts how often each was drawn. */
function drawInto(times: Uint16Array, random: Random): void {
  times.fill(0);
  for (let draw = 0; draw < times.length; draw += 1) {
    const text = random.integer(times.length);
    times[text] = (times[text] ?? 0) + 1;
  }
}

/** Groups places, which are in the order of texts; those of one word in one text become one entry. */
function placesByText({ word, text, logRatio, tokens }: LearnedPlaces): PlacesByText {
  const starts = new Int32Array(tokens.length + 1);
  const entries: { word: number; sum: number; count: number }[] = [];
  let at = 0;
  for (const one of tokens.keys()) {
    starts[one] = entries.length;
    const own = new Map<number, { word: number; sum: number; count: number }>();
    for (; at < text.length && text[at] === one; at += 1) {
      const index = word[at] ?? 0;
      const entry = own.get(index) ?? { word: index, sum: 0, count: 0 };
      entry.sum += logRatio[at] ?? Number.NaN;
      entry.count += 1;
      own.set(index, entry);
    }
    entries.push(...own.values());
  }
  starts[tokens.length] = entries.length;
  return {
    starts,
    word: Int32Array.from(entries, (entry) => entry.word),
    sum: Float64Array.from(entries, ({ sum }) => sum),
    count: Float64Array.from(entries, ({ count }) => count),
  };
}

function textsOf({ word }: PlacesByText, words: number): Int32Array {
  const texts = new Int32Array(words);
  for (const index of word) texts[index] = (texts[index] ?? 0) + 1;
  return texts;
}

/** KL over all predicted tokens, with its bootstrap interval over whole texts. */
async function klPerToken(
  { kl, tokens }: LearnedPlaces,
  { resamples }: LearnedSettings,
  { random, pacer }: Draws,
): Promise<Learned["kl"]> {
  if (kl === undefined) return { value: null, low: null, high: null };
  const statistic = (rows: Int32Array): number => {
    let [sum, count] = [0, 0];
    for (const row of rows) {
      sum += kl[row] ?? 0;
      count += tokens[row] ?? 0;
    }
    return sum / count;
  };
  const { estimate, low, high } = await bootstrapInterval([...kl.keys()], statistic, { random, resamples, pacer });
  return { value: orNull(estimate), low: orNull(low), high: orNull(high) };
}

/** Mean of the values; 0 if there are none, since words without places have no mean. */
function meanOrZero(values: readonly number[]): number {
  return values.length === 0 ? 0 : mean(values);
}

function orNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
