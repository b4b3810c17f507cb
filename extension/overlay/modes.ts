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
  /** The unit of its numbers, if they have one. */
  readonly unit?: "nats";
  /** The meaning of its sign, where the label does not make it plain. */
  readonly sign?: string;
}

/** The modes' words, in the order in which the modes are offered. */
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

/** Names of the units. */
export const unitWords: { readonly [K in LensUnit]: { readonly one: string; readonly many: string } } = {
  word: { one: "word", many: "words" },
  token: { one: "token", many: "tokens" },
};

/** A mode that a person chose, or `auto`: the reading with the most measured power. */
export type ModeChoice = LensMode | "auto";

/**
 * Resolves a choice for the lens's target. A mode that the target does not offer, or one that needs an ablation where
 * there is none, becomes the reading with the most power. What a target offers is known once it is open.
 */
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

/** `2 features ablated`, if the view has an ablation set; features that are only scaled count too. */
export function ablationWords(ablation: AblationSet | null): string[] {
  const count = ablation?.features.filter(({ factor }) => factor !== 1).length ?? 0;
  return count === 0 ? [] : [`${count} ${count === 1 ? "feature" : "features"} ablated`];
}

/** Whether a mode reads what was learned, so that its power can be measured. */
export function isReading(kind: LensMode["kind"]): kind is ReadingMode {
  return kind === "learned" || kind === "fitted" || kind === "implicit" || kind === "tunedMinusBase";
}

/** Why a mode cannot be shown; undefined if it can, or while that is unknown. */
export function whyNot(kind: LensMode["kind"], info: LensInfo | undefined, hasAblation: boolean): string | undefined {
  const reason = info === undefined ? undefined : whyNotOffered(kind, info);
  if (reason !== undefined) return reason;
  return kind === "ablatedMinusNot" && !hasAblation ? "no ablation set is active" : undefined;
}
