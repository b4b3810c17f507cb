/**
 * Explanations without a language model: the tokens that a feature is strongest on, the tokens that it promotes, and
 * the share of its strength on words that the feedback rates. No key, no network; scored as any other, and marked as
 * offline.
 */
import { inertLine } from "../endpoint/plain-text.ts";
import type { ExampleWindow, Explainer, Explanation, FeatureCase, MarkedWindow, Relevance } from "./types.ts";
import { activePlaces, termOf, wordAt } from "./window-text.ts";

export const offlineName = "offline";

export interface OfflineOptions {
  /** The feedback's rating of words, by their lower-case form; empty if it rates none. */
  readonly wordValues: ReadonlyMap<string, number>;
  /** Texts like those of the features' examples: the frequency of rated words in them is the baseline for a feature. */
  readonly background: readonly (readonly string[])[];
}

/** Shares of a feature's strength in its explanation windows. */
interface Strength {
  /** Shares by token, the strongest first. */
  readonly terms: readonly (readonly [term: string, share: number])[];
  readonly positive: number;
  readonly negative: number;
}

/** Threshold of relevance: rated words' share of the feature's strength, as a multiple of their share of the texts. */
const relevantTimes = 2;
const termsAtMost = 8;
/** Terms are added until they have this share of the strength. */
const termsShare = 0.8;

/** Explains by the words that a feature is strongest on, and judges windows by whether they contain them. */
export function offlineExplainer({ wordValues, background }: OfflineOptions): Explainer {
  const usual = ratedShare(background, wordValues);
  return {
    name: offlineName,
    explain: async (feature) => {
      const strength = strengthOf(feature.explain.active, wordValues);
      if (strength.terms.length === 0) return { kind: "none", reason: "the feature is active in no window" };
      return { kind: "answer", value: explanationOf(feature, strength) };
    },
    detect: async (explanation, windows) => ({
      answers: windows.map(({ tokens }) => tokens.some(isTermOf(explanation))),
      reasons: [],
    }),
    fuzz: async (explanation, windows) => ({
      answers: windows.map((window) => mostAreTerms(explanation, window)),
      reasons: [],
    }),
    relevance: async (explanation) => ({ kind: "answer", value: relevanceOf(explanation, usual) }),
  };
}

function strengthOf(windows: readonly ExampleWindow[], wordValues: ReadonlyMap<string, number>): Strength {
  const byTerm = new Map<string, number>();
  let [total, positive, negative] = [0, 0, 0];
  for (const window of windows) {
    for (const place of activePlaces(window)) {
      const strength = window.activations[place] ?? 0;
      const term = termOf(window.tokens[place] ?? "");
      byTerm.set(term, (byTerm.get(term) ?? 0) + strength);
      total += strength;
      const value = wordValues.get(wordAt(window.tokens, place)) ?? 0;
      if (value > 0) positive += strength;
      if (value < 0) negative += strength;
    }
  }
  const ranked = [...byTerm].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  return {
    terms: ranked.map(([term, strength]) => [term, strength / total]),
    positive: total === 0 ? 0 : positive / total,
    negative: total === 0 ? 0 : negative / total,
  };
}

function explanationOf({ promotes }: FeatureCase, { terms, positive, negative }: Strength): Explanation {
  const chosen: string[] = [];
  let share = 0;
  for (const [term, own] of terms) {
    if (chosen.length === termsAtMost || share >= termsShare) break;
    chosen.push(term);
    share += own;
  }
  const quoted = (words: readonly string[]): string =>
    words.map((word) => `"${inertLine(word, 30).replace(/"/g, "'") || "line break"}"`).join(", ");
  const promoted = promotes.length === 0 ? "" : `; promotes ${quoted(promotes.slice(0, 4))}`;
  const text =
    `strongest on ${quoted(chosen)} (${percent(share)} of its strength)${promoted}; ` +
    `${percent(positive)} on words that the feedback likes, ${percent(negative)} on words that it dislikes`;
  return { text, terms: [...chosen, ...ratingTerms(positive, negative)] };
}

/**
 * Encodes the shares as terms, so that relevance can be judged from the explanation alone. No token equals such a
 * term, since tokens in lower case have no capitals.
 */
function ratingTerms(positive: number, negative: number): string[] {
  return [`LIKED ${positive}`, `DISLIKED ${negative}`];
}

function relevanceOf({ terms }: Explanation, usual: number): Relevance {
  const share = (name: string): number =>
    Number(terms.find((term) => term.startsWith(`${name} `))?.slice(name.length + 1) ?? 0);
  const [positive, negative] = [share("LIKED"), share("DISLIKED")];
  const rated = positive + negative;
  const times = usual === 0 ? 0 : rated / usual;
  const relevant = times >= relevantTimes;
  const polarity = !relevant
    ? "none"
    : positive >= 0.75 * rated
      ? "positive"
      : negative >= 0.75 * rated
        ? "negative"
        : "mixed";
  const why =
    `words that the feedback rates have ${percent(rated)} of its strength, ${Number(times.toPrecision(2))} times their share of the texts; ` +
    `${relevantTimes} times or more count as relevant`;
  return { relevant, polarity, confidence: Math.min(1, Math.abs(times - relevantTimes) / relevantTimes), why };
}

function ratedShare(texts: OfflineOptions["background"], wordValues: ReadonlyMap<string, number>): number {
  let [rated, all] = [0, 0];
  for (const tokens of texts) {
    for (const place of tokens.keys()) {
      all++;
      if ((wordValues.get(wordAt(tokens, place)) ?? 0) !== 0) rated++;
    }
  }
  return all === 0 ? 0 : rated / all;
}

function isTermOf({ terms }: Explanation): (token: string) => boolean {
  const known = new Set(terms);
  return (token) => known.has(termOf(token));
}

function mostAreTerms(explanation: Explanation, { tokens, marked }: MarkedWindow): boolean {
  const isTerm = isTermOf(explanation);
  const right = marked.filter((place) => isTerm(tokens[place] ?? "")).length;
  return 2 * right >= marked.length;
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}
