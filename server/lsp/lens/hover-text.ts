import { isUnfamiliar } from "../../lens/familiarity.ts";
import { ablateFeature, commandLink, howToRead, openFeature } from "../../protocol/commands.ts";
import type { TokenDetail } from "../../protocol/lens.ts";
import type { RunInfo } from "../../protocol/lens-state.ts";
import { trustSentence } from "../../protocol/power.ts";
import type { ReadingMode } from "../../protocol/reading-mode.ts";
import { percent, plain, probability, quoted, signed } from "../text/markdown.ts";
import { type Judge, type Judgement, judge } from "./judging.ts";
import { nats, timesAsLikely } from "./pair-hover.ts";

export interface TokenHover {
  readonly detail: TokenDetail;
  /** By which the word is held against its rating. */
  readonly by: Judge;
  /** How many features the numbers are without or beside. */
  readonly ablated: number;
}

/** What a hover over a token of a run says: what was learned, what was meant, and how far to trust that; then the readings, and what they are made of. */
export function tokenHover({ detail, by, ablated }: TokenHover): string {
  const { info, mode } = by;
  const judgement = judgementOf(detail, by);
  return [
    headline(detail, mode, judgement),
    "",
    ...(judgement === undefined ? [] : verdictLines(judgement, mode)),
    trustSentence(info, mode),
    "",
    ...unfamiliarLines(detail),
    ...(ablated === 0 ? [] : [`With ${ablated === 1 ? "1 feature" : `${ablated} features`} ablated.`, ""]),
    ...readingRows(detail),
    "",
    ...partRows(detail, info, mode),
    "",
    probeTrustLine(detail),
    "",
    `Run ${plain(info.runName)}. [How to read this](${commandLink(howToRead, {})})`,
  ].join("\n");
}

/** A word's number in a mode's own units; undefined where it has none. */
function numberOf({ learned, fitted, implicit, base }: TokenDetail, mode: ReadingMode): number | undefined {
  if (mode === "learned") return learned?.word?.sum ?? learned?.logRatio ?? undefined;
  if (mode === "fitted") return fitted?.value;
  if (mode === "implicit") return implicit;
  return base === null ? undefined : implicit - base;
}

function judgementOf(detail: TokenDetail, by: Judge): Judgement | undefined {
  const value = numberOf(detail, by.mode);
  if (detail.trueReward === null || detail.trueReward === 0 || value === undefined) return undefined;
  return judge({ word: detail.learned?.word?.text ?? detail.text, rating: detail.trueReward, value }, by);
}

const names: { readonly [K in ReadingMode]: string } = {
  learned: "learned reward",
  fitted: "learned reward by features",
  implicit: "implicit reward",
  tunedMinusBase: "tuned minus base",
};

/** Whether a mode's numbers are log-ratios of words, in nats. */
function isOfTuning(mode: ReadingMode): boolean {
  return mode === "learned" || mode === "fitted";
}

/** The value, the meant value, and the verdict. */
function headline(detail: TokenDetail, mode: ReadingMode, judgement: Judgement | undefined): string {
  const value = numberOf(detail, mode);
  const shown = quoted((isOfTuning(mode) ? (detail.learned?.word?.text ?? detail.text) : detail.text).trim());
  const number = value === undefined ? "not known here" : `**${isOfTuning(mode) ? nats(value) : signed(value)}**`;
  const truth = detail.trueReward === null ? "" : `, true reward **${signed(detail.trueReward)}**`;
  return `${shown} ${names[mode]} ${number}${truth}${judgement === undefined ? "" : ` (${verdict(judgement)})`}`;
}

function verdict({ isFlagged, score }: Judgement): string {
  if (isFlagged) return "they disagree";
  return score > 0 ? "they point apart, but not by as much as is flagged" : "they agree";
}

/** Of a log-ratio: by what it is judged, which is not always the number in the headline, and from where on it is flagged. */
function verdictLines({ level, places, isCentred, ...judgement }: Judgement, mode: ReadingMode): string[] {
  if (!isOfTuning(mode)) return [];
  const { value, interval, threshold, isCalibrated } = judgement;
  const from = `lagged from ${threshold.toFixed(2)} nats on${isCalibrated ? "" : " (a setting: not calibrated)"}.`;
  if (!isCentred) return [`F${from}`, ""];
  const range = interval === undefined ? "" : ` (95 % interval ${signed(interval[0])} to ${signed(interval[1])})`;
  const of = level === "word" ? `Over its ${places} places in the run's texts` : "At this place";
  return [`${of}: **${nats(value)}**${range} against rated words on the mean; f${from}`, ""];
}

/** The readings side by side. */
function readingRows({ learned, fitted, implicit, trueReward, familiarity }: TokenDetail): string[] {
  const row = (value: string, name: string, words: string): string => `| ${value} | ${name} | ${words} |`;
  const ratio = learned?.word?.sum ?? learned?.logRatio ?? null;
  const unfamiliar = familiarity !== null && isUnfamiliar(familiarity) ? "; unfamiliar here" : "";
  return [
    "| value | reading | |",
    "| ---: | --- | --- |",
    ...(ratio === null ? [] : [row(nats(ratio), "learned reward", likelier(ratio))]),
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
  const isFitted = isOfTuning(mode) && fitted !== null;
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
