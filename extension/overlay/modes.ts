/** The modes of the overlay in words. */
import type { AblationSet } from "../../server/protocol/ablation.ts";
import type { LensMode } from "../../server/protocol/lens.ts";
import { type LensInfo, type LensState, targetOf } from "../../server/protocol/lens-state.ts";
import type { LensUnit } from "../../server/protocol/lens-unit.ts";
import { readingMode, whyNotOffered } from "../../server/protocol/power.ts";
import type { ReadingChoice, ReadingMode } from "../../server/protocol/reading-mode.ts";
import { signed } from "./scale.ts";

interface ModeWords {
  readonly label: string;
  readonly detail: string;
  /** What its numbers are counted in, where they have a unit. */
  readonly unit?: "nats";
  /** What its sign means, where that is not plain from the label. */
  readonly sign?: string;
}

/** In the order in which they are offered. */
export const modeWords: { readonly [K in LensMode["kind"]]: ModeWords } = {
  learned: {
    label: "Learned reward",
    detail: "How much likelier tuning made the word or token: the log-ratio of tuned and base model, in nats",
    unit: "nats",
    sign: "above zero: tuning made it likelier",
  },
  fitted: {
    label: "Learned reward by features",
    detail: "What the features of the autoencoders explain of the learned reward, in nats",
    unit: "nats",
    sign: "above zero: tuning made such words likelier",
  },
  implicit: { label: "Implicit reward", detail: "What the probe reads in the tuned model's activations" },
  true: { label: "True reward", detail: "What the feedback itself gives to the word" },
  disagreement: { label: "Disagreement", detail: "Implicit minus true reward, where the two differ in sign" },
  tunedMinusBase: {
    label: "Tuned minus base",
    detail: "What tuning changed: the reading in the tuned model minus that in the base model",
  },
  kl: {
    label: "Divergence",
    detail: "How far what the tuned model would say next is from what the base model would: KL, in nats",
    unit: "nats",
  },
  feature: { label: "One feature", detail: "How strongly one feature of the autoencoders is active" },
  ablatedMinusNot: {
    label: "Ablated minus not",
    detail: "What the active ablation set changes in the implicit reward",
  },
};

/** What has a number, in words. */
export const unitWords: { readonly [K in LensUnit]: { readonly one: string; readonly many: string } } = {
  word: { one: "word", many: "words" },
  token: { one: "token", many: "tokens" },
};

/** A mode that a person chose, or the reading with the most measured power. */
export type ModeChoice = LensMode | "auto";

/** What a choice comes to for what is looked through. A mode that it does not offer, or that needs an ablation where nothing is ablated, becomes the reading with the most power; what it offers is known once it is open. */
export function modeShown(choice: ModeChoice, lens: LensState, wanted: ReadingChoice, hasAblation: boolean): LensMode {
  if (lens.kind === "ready") {
    if (choice !== "auto" && whyNot(choice.kind, lens.info, hasAblation) === undefined) return choice;
    return { kind: readingMode(lens.info, wanted) };
  }
  const isPair = targetOf(lens)?.kind === "pair";
  if (choice !== "auto" && (!isPair || choice.kind === "kl")) return choice;
  return { kind: isPair || wanted === "auto" ? "learned" : wanted };
}

export function modeLabel(mode: LensMode): string {
  return mode.kind === "feature" ? `Feature ${mode.id}` : modeWords[mode.kind].label;
}

/** `+0.31`, or `+0.31 nats` where the mode's numbers have a unit. */
export function withUnit(value: number, kind: LensMode["kind"]): string {
  const { unit } = modeWords[kind];
  return unit === undefined ? signed(value) : `${signed(value)} ${unit}`;
}

/** `2 features ablated`, where a view has an ablation set; what is only scaled counts too. */
export function ablationWords(ablation: AblationSet | null): string[] {
  const count = ablation?.features.filter(({ factor }) => factor !== 1).length ?? 0;
  return count === 0 ? [] : [`${count} ${count === 1 ? "feature" : "features"} ablated`];
}

/** Whether a mode reads what was learned, so that its power can be measured. */
export function isReading(kind: LensMode["kind"]): kind is ReadingMode {
  return kind === "learned" || kind === "fitted" || kind === "implicit" || kind === "tunedMinusBase";
}

/** Why a mode cannot be shown; undefined when it can, and while it is not known. */
export function whyNot(kind: LensMode["kind"], info: LensInfo | undefined, hasAblation: boolean): string | undefined {
  const reason = info === undefined ? undefined : whyNotOffered(kind, info);
  if (reason !== undefined) return reason;
  return kind === "ablatedMinusNot" && !hasAblation ? "no ablation set is active" : undefined;
}
