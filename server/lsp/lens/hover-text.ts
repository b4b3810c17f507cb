import { isUnfamiliar } from "../../lens/familiarity.ts";
import type { Shown } from "../../lens/read-passage.ts";
import { ablateFeature, commandLink, openFeature } from "../../protocol/commands.ts";
import type { LensMode, TokenDetail } from "../../protocol/lens.ts";
import { trustSentence } from "../../protocol/power.ts";
import type { ReadingMode } from "../../protocol/reading-mode.ts";
import { percent, plain, quoted, signed } from "../text/markdown.ts";
import { withLinks } from "./hover-links.ts";
import { isLogRatio, type Judge, type Judgement, judge } from "./judging.ts";
import { nats, timesAsLikely } from "./pair-hover.ts";

export interface TokenHover {
  readonly detail: TokenDetail;
  /** What the colours show, and this place's number there; null if it has none. */
  readonly shown: Shown & { readonly value: number | null };
  /** The word's number in the reading by which it is judged; null if it has none. */
  readonly judged: number | null;
  /** The judge that compares the word with its rating. */
  readonly by: Judge;
  /** What is ablated in these numbers, such as `2 features ablated`; undefined: nothing. */
  readonly ablated: string | undefined;
  /** Its share of the margin of its preference pair; empty where it is no part of one. */
  readonly share: string;
}

/** A hover, and whether it leaves out what its copy as Markdown has. */
interface WrittenHover extends TokenHover {
  readonly isShort: boolean;
}

/**
 * Writes the hover over a word or token of a run: the number that its colour shows, its rating, whether the two
 * disagree, and how far to trust that; then the parts of the number and the other readings. It fits into VS Code's
 * hover without scrolling: one that says how far to trust two readings is shortened, and its copy as Markdown is not.
 */
export function tokenHover(hover: TokenHover): string {
  const whole = { ...hover, isShort: false };
  const said = hoverLines(saysTwoTrusts(hover) ? shortened(hover) : whole);
  const through = `run ${plain(hover.by.info.runName, 60)}`;
  return withLinks(said, hover.shown.value, through, hoverLines(whole));
}

function hoverLines(hover: WrittenHover): string {
  return [
    [headline(hover), hover.share].filter((line) => line !== "").join("  \n"),
    "",
    `${judgedWords(hover)}${trustOf(hover)}`,
    "",
    ...noteLines(hover),
    partLines(hover),
    "",
    otherReadings(hover),
  ].join("\n");
}

/** Whether the hover says how far to trust the probe, and beside it the reading by which the word is judged. */
function saysTwoTrusts(hover: TokenHover): boolean {
  return isOfProbe(hover) && hover.shown.mode.kind !== hover.by.mode && judgementOf(hover) !== undefined;
}

/** The hover with the last of the probe's parts among the others. */
function shortened(hover: TokenHover): WrittenHover {
  const { contributions, rest } = hover.detail;
  const kept = contributions.slice(0, -1);
  const contribution = contributions
    .slice(kept.length)
    .reduce((sum, part) => sum + part.contribution, rest.contribution);
  const others = { count: rest.count + contributions.length - kept.length, contribution };
  return { ...hover, detail: { ...hover.detail, contributions: kept, rest: others }, isShort: true };
}

function judgementOf({ detail, judged, by }: TokenHover): Judgement | undefined {
  if (detail.trueReward === null || detail.trueReward === 0 || judged === null) return undefined;
  return judge({ word: detail.learned?.word?.text ?? detail.text, rating: detail.trueReward, value: judged }, by);
}

interface ModeWords {
  readonly name: (mode: LensMode) => string;
  readonly number: (value: number) => string;
  /** Text used if there is no number. */
  readonly none: string;
  /** Whether the number is the probe's. */
  readonly isProbes: boolean;
}

const named = (name: string) => () => name;
const unknown = "not known here";
const modeWords: { readonly [K in LensMode["kind"]]: ModeWords } = {
  learned: { name: named("learned reward"), number: nats, none: unknown, isProbes: false },
  fitted: { name: named("learned reward by features"), number: nats, none: unknown, isProbes: false },
  implicit: { name: named("implicit reward"), number: signed, none: unknown, isProbes: true },
  tunedMinusBase: { name: named("tuned minus base"), number: signed, none: unknown, isProbes: true },
  true: {
    name: named("true reward"),
    number: signed,
    none: "none: the feedback does not rate it",
    isProbes: false,
  },
  disagreement: {
    name: named("implicit minus true reward"),
    number: signed,
    none: "not shown: the two do not differ in sign",
    isProbes: true,
  },
  kl: { name: named("divergence"), number: (value) => `${value.toFixed(2)} nats`, none: unknown, isProbes: false },
  feature: {
    name: (mode) => (mode.kind === "feature" ? `activation of ${mode.id}` : "activation"),
    number: (value) => value.toFixed(2),
    none: unknown,
    isProbes: false,
  },
  ablatedMinusNot: { name: named("ablated minus not"), number: signed, none: unknown, isProbes: true },
};

/** A mode's number in words: `learned reward **−0.41 nats**`. */
function numberOf(mode: LensMode, value: number | null): string {
  const { name, number, none } = modeWords[mode.kind];
  return `${name(mode)} ${value === null ? none : `**${number(value)}**`}`;
}

/** The value that the colour shows, the rating, and the verdict if it is based on this value. */
function headline(hover: TokenHover): string {
  const { detail, shown, by } = hover;
  const judgement = judgementOf(hover);
  const truth =
    detail.trueReward === null || shown.mode.kind === "true" ? "" : `, true reward **${signed(detail.trueReward)}**`;
  const isOfVerdict = shown.mode.kind === by.mode && judgement !== undefined;
  const text = quoted(detail.text.trim());
  return `${text} ${numberOf(shown.mode, shown.value)}${truth}${isOfVerdict ? ` (${verdict(judgement)})` : ""}`;
}

function verdict({ isFlagged, score }: Judgement): string {
  if (isFlagged) return "they disagree";
  return score > 0 ? "they point apart, but not by as much as is flagged" : "they agree";
}

/**
 * The basis of the verdict as far as the headline lacks it: the word's number in the judging reading, and over its
 * places.
 */
function judgedWords(hover: TokenHover): string {
  const { shown, judged, by } = hover;
  const judgement = judgementOf(hover);
  const said = judgement === undefined ? "" : ` (${verdict(judgement)})`;
  const number =
    shown.mode.kind === by.mode || judged === null ? "" : `${capital(numberOf({ kind: by.mode }, judged))}${said}. `;
  return `${number}${judgement === undefined ? "" : verdictWords(judgement, by.mode)}`;
}

/**
 * A log-ratio's verdict: the number on which it is based, which is not always the headline's, and the threshold for
 * flagging.
 */
function verdictWords({ level, places, isCentred, ...judgement }: Judgement, mode: ReadingMode): string {
  if (!isLogRatio(mode)) return "";
  const { value, interval, threshold, isCalibrated } = judgement;
  const from = `lagged from ${threshold.toFixed(2)} on${isCalibrated ? "" : " (a setting: not calibrated)"}. `;
  if (!isCentred) return `F${from}`;
  const range = interval === undefined ? "" : ` (${signed(interval[0])} to ${signed(interval[1])})`;
  const of = level === "word" ? `Over its ${places} places` : "Here";
  return `${of} **${signed(value)}**${range} against the mean of rated words; f${from}`;
}

/**
 * How far to trust the verdict, or else the reading at the top; for the probe's readings also its own evaluation; and
 * what is ablated in all of it.
 */
function trustOf(hover: WrittenHover): string {
  const { detail, shown, by, ablated, isShort } = hover;
  const judgement = judgementOf(hover);
  const isAsked = judgement !== undefined || shown.mode.kind === by.mode;
  const trusted = { level: judgement?.level ?? "place", isAblated: ablated !== undefined } as const;
  const sentences = [
    ...(isAsked ? [trustSentence(by.info, by.mode, trusted)] : []),
    ...(isOfProbe(hover) ? [probeTrustWords(detail, isShort)] : []),
    ...(ablated === undefined ? [] : [`With ${ablated}.`]),
  ];
  return sentences.join(" ");
}

/** Whether the headline shows a probe's output. */
function isOfProbe({ shown, by }: TokenHover): boolean {
  return modeWords[shown.mode.kind].isProbes || modeWords[by.mode].isProbes;
}

/** Caveats for the whole hover: a missing part, an extrapolation. */
function noteLines(hover: TokenHover): string[] {
  const { detail } = hover;
  const notes = [
    ...(detail.missing === null ? [] : [`What needs the base model is missing: ${plain(detail.missing)}`]),
    ...(isOfProbe(hover) ? unfamiliarWords(detail) : []),
  ];
  return notes.length === 0 ? [] : [notes.join(" "), ""];
}

/** The readings that the first lines do not show, and the tokens of the word. */
function otherReadings({ detail, shown, by }: TokenHover): string {
  const { tokens, learned, fitted, implicit, trueReward, familiarity } = detail;
  const ratio = (shown.unit === "word" ? learned?.logRatio : (learned?.word?.sum ?? learned?.logRatio)) ?? null;
  const known = new Set<LensMode["kind"]>([shown.mode.kind, by.mode]);
  const unfamiliar = familiarity !== null && isUnfamiliar(familiarity) ? " (unfamiliar)" : "";
  const readings = [
    ...(ratio === null || known.has("learned") ? [] : [`learned reward ${nats(ratio)}`]),
    ...(ratio === null ? [] : [`after tuning ${timesAsLikely(ratio)}`]),
    ...(fitted === null || ratio === null ? [] : [`${nats(ratio - fitted.value)} not by features`]),
    ...(known.has("implicit") ? [] : [`implicit reward ${signed(implicit)}${unfamiliar}`]),
    ...(trueReward === null || shown.mode.kind !== "true" ? [] : [`true reward ${signed(trueReward)}`]),
    ...(learned?.kl == null || known.has("kl") ? [] : [`divergence ${learned.kl.toFixed(2)} nats`]),
    ...(tokens.length === 1 ? [] : [`read as ${tokens.map((token) => quoted(token.trim(), 20)).join(" ")}`]),
  ];
  return readings.length === 0 ? "" : `${capital(readings.join(", "))}.`;
}

/**
 * The parts of the number, one per line: of the fitted log-ratio if the run has one and the hover shows no output of
 * the probe, else of the probe's output. Lines, because a table's cells and head take half as much room again.
 */
function partLines({ detail: { fitted, ...probe }, shown, by: { info, mode } }: TokenHover): string {
  const isFitted = isLogRatio(mode) && !modeWords[shown.mode.kind].isProbes && fitted !== null;
  const { contributions, rest, intercept } = isFitted ? fitted : probe;
  const whole = isFitted ? `By features **${nats(fitted.value)}**` : `Implicit reward **${signed(probe.implicit)}**`;
  const others = rest.count === 0 ? "the constant" : `${rest.count} others and the constant`;
  const unexplained = info.hasFeatureStore ? "not explained" : "";
  return [
    `${whole}, ${signed(rest.contribution + intercept)} of it by ${others}:`,
    ...contributions.map(({ id, contribution, explanation }) => {
      const open = `[${id}](${commandLink(openFeature, { runFolder: info.runFolder, id })})`;
      const ablate = `[ablate](${commandLink(ablateFeature, { runFolder: info.runFolder, id })})`;
      const words = explanation === null ? unexplained : plain(briefly(explanation));
      return `${signed(contribution)} ${open} ${words} · ${ablate}`;
    }),
  ].join("  \n");
}

/** An explanation's first clause, cut at the end of a word: `"only", "better", "best"…`. */
function briefly(explanation: string): string {
  const [clause = ""] = explanation.replace(/^strongest on /, "").split(/;| \(/, 1);
  if (clause.length <= MOST_EXPLAINED) return clause;
  const end = clause.lastIndexOf(" ", MOST_EXPLAINED);
  return `${clause.slice(0, end > MOST_EXPLAINED / 2 ? end : MOST_EXPLAINED).replace(/[,.:]$/, "")}…`;
}

/** Maximum length of a shortened explanation, in UTF-16 units. */
const MOST_EXPLAINED = 48;

/** How far to trust the probe; in short, the first thing that its evaluation says. */
function probeTrustWords({ implicit, familiarity, trust }: TokenDetail, isShort: boolean): string {
  const evaluation = evaluationSentences(trust, implicit, isShort);
  if (isShort && familiarity !== null && evaluation.length > 0) return evaluation.join(" ");
  const sentences: string[] = [];
  if (familiarity === null) sentences.push("How familiar the word is to the probe is not known for this run.");
  else if (!isUnfamiliar(familiarity)) sentences.push("The word is familiar to the probe.");
  sentences.push(...evaluation);
  return sentences.length === 0 ? "This run says nothing of how far to trust its probe." : sentences.join(" ");
}

type TrustKind = TokenDetail["trust"]["kind"];
type Trusts = { readonly [K in TrustKind]: Extract<TokenDetail["trust"], { kind: K }> };

/** The probe's evaluation for such a reading, by the kind of probe; in short, one sentence of it. */
const sentencesOf: { readonly [K in TrustKind]: (trust: Trusts[K], implicit: number, isShort: boolean) => string[] } = {
  regression: ({ seenInTuning, signAccuracy }, implicit, isShort) => {
    const sentences: string[] = [];
    if (signAccuracy !== null) {
      const { share, low, high, words } = signAccuracy;
      const kind = implicit > 0 ? "positive" : "negative";
      sentences.push(
        `Of ${words} ${kind} words that it had not seen, the probe has the sign of ${percent(share)} right (95 % interval ${percent(low)} to ${percent(high)}).`,
      );
    }
    if (seenInTuning !== null)
      sentences.push(`The texts tuned on have this word ${seenInTuning === 1 ? "once" : `${seenInTuning} times`}.`);
    return isShort ? sentences.slice(0, 1) : sentences;
  },
  classification: ({ accuracy, lengthAccuracy, contrasts }, _, isShort) => {
    const meaning =
      "This is the token's part of the log-odds that an answer is liked, which are the mean over the answer's tokens.";
    if (accuracy === null) return [meaning];
    const { share, low, high } = accuracy;
    const byLength = lengthAccuracy === null ? "" : `; by length alone ${percent(lengthAccuracy)}`;
    const measured = `Of the answers of ${contrasts} pairs, whose prompts it had not seen, the probe tells ${percent(share)} right (95 % interval ${percent(low)} to ${percent(high)}${byLength}; chance is 50 %).`;
    return isShort ? [measured] : [meaning, measured];
  },
};

function evaluationSentences<K extends TrustKind>(
  trust: { readonly kind: K } & Trusts[K],
  implicit: number,
  isShort: boolean,
): string[] {
  return sentencesOf[trust.kind](trust, implicit, isShort);
}

function unfamiliarWords({ familiarity }: TokenDetail): string[] {
  if (familiarity === null || !isUnfamiliar(familiarity)) return [];
  const times = familiarity >= 10 ? familiarity.toFixed(0) : familiarity.toFixed(1);
  return [`**Unfamiliar to the probe**: its number is a guess (leverage ${times} times that of 95 % of unseen words).`];
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
