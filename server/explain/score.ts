/**
 * Scores how well an explanation predicts where its feature fires, on held-out windows. Detection: is the feature
 * active in this window? Fuzzing: is it active on the marked tokens? (EleutherAI's delphi; reference/method.md 3.2
 * and 3.4.)
 */
import { invariant } from "../common/errors.ts";
import type { Random } from "../common/random.ts";
import { wilsonInterval } from "../statistics/wilson.ts";
import type { ExampleWindow, Explainer, Explanation, FeatureCase, Judgements, MarkedWindow } from "./types.ts";
import { activePlaces } from "./window-text.ts";

export interface Score {
  readonly method: "detection" | "fuzzing";
  /** Balanced accuracy, the mean of the two rates, with its 95 % interval. */
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** Numbers of windows with a usable answer, and without. */
  readonly windows: number;
  readonly unusable: number;
  readonly truePositives: number;
  readonly positives: number;
  readonly trueNegatives: number;
  readonly negatives: number;
  /** The same windows judged by another feature's explanation; null if there was none. */
  readonly control: number | null;
}

/** Missing judgements of an explanation's scores. */
export interface Lost {
  readonly what: Score["method"] | "control" | "relevance";
  readonly judgements: number;
  readonly reason: string;
}

export interface ScoredExplanation {
  readonly scores: readonly Score[];
  readonly lost: readonly Lost[];
}

/** Minimum number of windows of either sort for scoring an explanation. */
const fewestWindows = 5;

/** Scores by both methods; `other` is another feature's explanation, for the control of detection. */
export async function scoreExplanation(
  explainer: Pick<Explainer, "detect" | "fuzz">,
  explanation: Explanation,
  { score: windows }: FeatureCase,
  { other, random }: { readonly other: Explanation | undefined; readonly random: Random },
): Promise<ScoredExplanation> {
  const { active, silent } = windows;
  if (active.length < fewestWindows || silent.length < fewestWindows) return { scores: [], lost: [] };
  const mixed = random.shuffled([
    ...active.map((window) => ({ window, truth: true })),
    ...silent.map((window) => ({ window, truth: false })),
  ]);
  const truths = mixed.map(({ truth }) => truth);
  const shown = mixed.map(({ window }) => window);
  const detection = await explainer.detect(explanation, shown);
  const control = other === undefined ? undefined : await explainer.detect(other, shown);
  const marked = mixed.map(({ window, truth }) =>
    truth ? rightlyMarked(window) : wronglyMarked(window, active, random),
  );
  const fuzzing = await explainer.fuzz(explanation, marked);
  const controlled = control === undefined ? [] : tally("detection", truths, control.answers);
  return {
    scores: [
      ...tally("detection", truths, detection.answers).map((score) => ({
        ...score,
        control: controlled[0]?.value ?? null,
      })),
      ...tally("fuzzing", truths, fuzzing.answers),
    ],
    lost: [
      ...lostOf("detection", detection),
      ...(control === undefined ? [] : lostOf("control", control)),
      ...lostOf("fuzzing", fuzzing),
    ],
  };
}

function lostOf(what: Lost["what"], { answers, reasons }: Judgements): Lost[] {
  const judgements = answers.filter((answer) => answer === null).length;
  return judgements === 0 ? [] : [{ what, judgements, reason: reasons.join("; ") }];
}

function rightlyMarked(window: ExampleWindow): MarkedWindow {
  return { tokens: window.tokens, marked: activePlaces(window) };
}

/** Marks as many tokens as active windows have active ones, at random places. */
function wronglyMarked({ tokens }: ExampleWindow, active: readonly ExampleWindow[], random: Random): MarkedWindow {
  const total = active.reduce((sum, window) => sum + activePlaces(window).length, 0);
  const count = Math.min(tokens.length, Math.max(1, Math.ceil(total / active.length)));
  const marked = random.shuffled([...tokens.keys()]).slice(0, count);
  return { tokens, marked: marked.toSorted((a, b) => a - b) };
}

/** The score; empty if one of the two sorts has no usable answer. */
function tally(method: Score["method"], truths: readonly boolean[], answers: readonly (boolean | null)[]): Score[] {
  invariant(
    answers.length === truths.length,
    `${truths.length} windows were judged, and ${answers.length} answers came`,
  );
  const count = (truth: boolean, answer: boolean | null): number =>
    truths.filter((one, at) => one === truth && answers[at] === answer).length;
  const [truePositives, missed] = [count(true, true), count(true, false)];
  const [trueNegatives, alarms] = [count(false, false), count(false, true)];
  const [positives, negatives] = [truePositives + missed, trueNegatives + alarms];
  if (positives === 0 || negatives === 0) return [];
  return [
    {
      method,
      ...balancedAccuracy([truePositives, positives], [trueNegatives, negatives]),
      windows: positives + negatives,
      unusable: truths.length - positives - negatives,
      truePositives,
      positives,
      trueNegatives,
      negatives,
      control: null,
    },
  ];
}

type Proportion = readonly [right: number, of: number];

/**
 * The mean of two independent proportions, with the interval that follows from their Wilson intervals by squaring and adding the distances to
 * the ends (Newcombe 1998, method 10).
 */
export function balancedAccuracy(first: Proportion, second: Proportion) {
  const [a, b] = [wilsonInterval(...first), wilsonInterval(...second)];
  const value = (a.proportion + b.proportion) / 2;
  return {
    value,
    low: value - Math.hypot(a.proportion - a.low, b.proportion - b.low) / 2,
    high: value + Math.hypot(a.high - a.proportion, b.high - b.proportion) / 2,
  };
}
