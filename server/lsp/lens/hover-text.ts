import { isUnfamiliar } from "../../lens/familiarity.ts";
import type { Shown } from "../../lens/read-passage.ts";
import { ablateFeature, commandLink, howToRead, openFeature } from "../../protocol/commands.ts";
import type { LensMode, TokenDetail } from "../../protocol/lens.ts";
import type { RunInfo } from "../../protocol/lens-state.ts";
import { trustSentence } from "../../protocol/power.ts";
import type { ReadingMode } from "../../protocol/reading-mode.ts";
import { percent, plain, probability, quoted, signed } from "../text/markdown.ts";
import { isLogRatio, type Judge, type Judgement, judge } from "./judging.ts";
import { nats, timesAsLikely } from "./pair-hover.ts";

export interface TokenHover {
  readonly detail: TokenDetail;
  /** What the colours are, and the number that this place has there; null where it has none. */
  readonly shown: Shown & { readonly value: number | null };
  /** The number of the word in the reading that it is judged by; null where it has none. */
  readonly judged: number | null;
  /** By which the word is held against its rating. */
  readonly by: Judge;
  /** How many features the numbers are without or beside. */
  readonly ablated: number;
}

/** What a hover over a word or token of a run says: what was learned, what was meant, and how far to trust that; then the readings, and what they are made of. */
export function tokenHover(hover: TokenHover): string {
  const { detail, shown, by, ablated } = hover;
  const { info, mode } = by;
  const judgement = judgementOf(hover);
  return [
    headline(hover, judgement),
    "",
    ...judgedLines(hover, judgement),
    trustSentence(info, mode, { level: judgement?.level ?? "word", isAblated: ablated > 0 }),
    "",
    ...(detail.missing === null ? [] : [`What needs the base model is missing: ${plain(detail.missing)}`, ""]),
    ...unfamiliarLines(detail),
    ...(ablated === 0 ? [] : [`With ${ablated === 1 ? "1 feature" : `${ablated} features`} ablated.`, ""]),
    ...readingRows(detail, shown),
    "",
    ...partRows(detail, info, mode),
    "",
    probeTrustLine(detail),
    "",
    `Run ${plain(info.runName)}. [How to read this](${commandLink(howToRead, {})})`,
  ].join("\n");
}

function judgementOf({ detail, judged, by }: TokenHover): Judgement | undefined {
  if (detail.trueReward === null || detail.trueReward === 0 || judged === null) return undefined;
  return judge({ word: detail.learned?.word?.text ?? detail.text, rating: detail.trueReward, value: judged }, by);
}

interface ModeWords {
  readonly name: (mode: LensMode) => string;
  readonly number: (value: number) => string;
  /** Said where there is no number. */
  readonly none: string;
}

const named = (name: string) => () => name;
const modeWords: { readonly [K in LensMode["kind"]]: ModeWords } = {
  learned: { name: named("learned reward"), number: nats, none: "not known here" },
  fitted: { name: named("learned reward by features"), number: nats, none: "not known here" },
  implicit: { name: named("implicit reward"), number: signed, none: "not known here" },
  tunedMinusBase: { name: named("tuned minus base"), number: signed, none: "not known here" },
  true: { name: named("true reward"), number: signed, none: "none: the feedback does not rate it" },
  disagreement: {
    name: named("implicit minus true reward"),
    number: signed,
    none: "not shown: the two do not differ in sign",
  },
  kl: { name: named("divergence"), number: (value) => `${value.toFixed(2)} nats`, none: "not known here" },
  feature: {
    name: (mode) => (mode.kind === "feature" ? `activation of ${mode.id}` : "activation"),
    number: (value) => value.toFixed(2),
    none: "not known here",
  },
  ablatedMinusNot: { name: named("ablated minus not"), number: signed, none: "not known here" },
};

/** A mode's number in words: `learned reward **−0.41 nats**`. */
function numberOf(mode: LensMode, value: number | null): string {
  const { name, number, none } = modeWords[mode.kind];
  return `${name(mode)} ${value === null ? none : `**${number(value)}**`}`;
}

/** The value that the colour shows, the meant value, and the verdict where it is by this value. */
function headline({ detail, shown, by }: TokenHover, judgement: Judgement | undefined): string {
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

/** By what the word is judged where the headline does not say so, or not all: its number in the judging reading, and over its places. */
function judgedLines({ shown, judged, by }: TokenHover, judgement: Judgement | undefined): string[] {
  const isInHeadline = shown.mode.kind === by.mode;
  const number =
    isInHeadline || judged === null
      ? []
      : [
          `${capital(numberOf({ kind: by.mode }, judged))}${judgement === undefined ? "" : ` (${verdict(judgement)})`}`,
          "",
        ];
  return [...number, ...(judgement === undefined ? [] : verdictLines(judgement, by.mode))];
}

/** Of a log-ratio: by what it is judged, which is not always the number in the headline, and from where on it is flagged. */
function verdictLines({ level, places, isCentred, ...judgement }: Judgement, mode: ReadingMode): string[] {
  if (!isLogRatio(mode)) return [];
  const { value, interval, threshold, isCalibrated } = judgement;
  const from = `lagged from ${threshold.toFixed(2)} nats on${isCalibrated ? "" : " (a setting: not calibrated)"}.`;
  if (!isCentred) return [`F${from}`, ""];
  const range = interval === undefined ? "" : ` (95 % interval ${signed(interval[0])} to ${signed(interval[1])})`;
  const of = level === "word" ? `Over its ${places} places in the run's texts` : "At this place";
  return [`${of}: **${nats(value)}**${range} against rated words on the mean; f${from}`, ""];
}

/** The readings side by side. */
function readingRows(detail: TokenDetail, { unit }: Shown): string[] {
  const { tokens, learned, fitted, implicit, trueReward, familiarity } = detail;
  const row = (value: string, name: string, words: string): string => `| ${value} | ${name} | ${words} |`;
  const ratio = (unit === "word" ? learned?.logRatio : (learned?.word?.sum ?? learned?.logRatio)) ?? null;
  const pieces = tokens.length === 1 ? "" : `; read as ${tokens.map((token) => quoted(token.trim(), 20)).join(", ")}`;
  const unfamiliar = familiarity !== null && isUnfamiliar(familiarity) ? "; unfamiliar here" : "";
  return [
    "| value | reading | |",
    "| ---: | --- | --- |",
    ...(ratio === null ? [] : [row(nats(ratio), "learned reward", `${likelier(ratio)}${pieces}`)]),
    ...(fitted === null ? [] : [row(nats(fitted.value), "of it by features", restOf(fitted.value, ratio))]),
    row(signed(implicit), "implicit reward", `what the probe reads in the tuned model${unfamiliar}`),
    ...(trueReward === null ? [] : [row(signed(trueReward), "true reward", "what the feedback gives to the word")]),
    ...(learned?.kl == null
      ? []
      : [row(`${learned.kl.toFixed(2)} nats`, "divergence", "how far what would come next is from the base model's")]),
  ];
}

function likelier(ratio: number): string {
  return `log-ratio of tuned and base model: tuning made it ${timesAsLikely(ratio)}`;
}

function restOf(fitted: number, ratio: number | null): string {
  return ratio === null ? "fitted to words" : `fitted to words; ${nats(ratio - fitted)} that no feature explains`;
}

/** What the number is made of: the fitted log-ratio where the run has one and problems go by log-ratios, else the probe's output. */
function partRows({ fitted, ...probe }: TokenDetail, info: RunInfo, mode: ReadingMode): string[] {
  const isFitted = isLogRatio(mode) && fitted !== null;
  const { contributions, rest, intercept } = isFitted ? fitted : probe;
  const row = (value: number, name: string, words: string): string => `| ${signed(value)} | ${name} | ${words} |`;
  // With spaces that do not break: the two stay on one line of the narrow column.
  const links = (id: string): string =>
    `[${id}](${commandLink(openFeature, { runFolder: info.runFolder, id })})\u00a0·\u00a0` +
    `[ablate](${commandLink(ablateFeature, { runFolder: info.runFolder, id })})`;
  const unexplained = info.hasFeatureStore ? "not explained" : "";
  const others = rest.count === 1 ? "1 other feature" : `${rest.count} other features`;
  return [
    `| part of the ${isFitted ? "learned reward, in nats" : "implicit reward"} | feature | |`,
    "| ---: | --- | --- |",
    ...contributions.map((one) =>
      row(one.contribution, links(one.id), one.explanation === null ? unexplained : plain(one.explanation, 120)),
    ),
    ...(rest.count === 0 ? [] : [row(rest.contribution, others, "")]),
    row(intercept, "constant", ""),
  ];
}

/** How far the probe is to be trusted, whatever the rest goes by. */
function probeTrustLine({ implicit, familiarity, trust }: TokenDetail): string {
  const sentences: string[] = [];
  if (familiarity === null) sentences.push("How familiar the word is to the probe is not known for this run.");
  else if (!isUnfamiliar(familiarity)) sentences.push("The word is familiar to the probe.");
  sentences.push(...evaluationSentences(trust, implicit));
  return sentences.length === 0 ? "This run says nothing of how far to trust its probe." : sentences.join(" ");
}

type TrustKind = TokenDetail["trust"]["kind"];
type Trusts = { readonly [K in TrustKind]: Extract<TokenDetail["trust"], { kind: K }> };

/** What the probe's evaluation says of such a reading, by the kind of probe. */
const sentencesOf: { readonly [K in TrustKind]: (trust: Trusts[K], implicit: number) => string[] } = {
  regression: ({ seenInTuning, signAccuracy, tau }, implicit) => {
    const sentences: string[] = [];
    if (signAccuracy !== null) {
      const { share, low, high, words } = signAccuracy;
      const kind = implicit > 0 ? "positive" : "negative";
      sentences.push(
        `Of ${words} ${kind} words that it had not seen, the probe has the sign of ${percent(share)} right (95 % interval ${percent(low)} to ${percent(high)}).`,
      );
    }
    if (tau !== null) sentences.push(`Kendall's tau ${signed(tau.value)}, p ${probability(tau.p)}.`);
    if (seenInTuning !== null)
      sentences.push(`The texts tuned on have this word ${seenInTuning === 1 ? "once" : `${seenInTuning} times`}.`);
    return sentences;
  },
};

function evaluationSentences<K extends TrustKind>(trust: { readonly kind: K } & Trusts[K], implicit: number): string[] {
  return sentencesOf[trust.kind](trust, implicit);
}

/** At the top, because it is about all that follows. */
function unfamiliarLines({ familiarity }: TokenDetail): string[] {
  if (familiarity === null || !isUnfamiliar(familiarity)) return [];
  const times = familiarity >= 10 ? familiarity.toFixed(0) : familiarity.toFixed(1);
  return [
    "**Unfamiliar to the probe**: the features lie far from those that it was tested on, so that the number is a guess " +
      `(leverage ${times} times what 95 % of the test's unseen words stay below).`,
    "",
  ];
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
