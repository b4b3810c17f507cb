/** The modes of the overlay in words. */
import type { LensMode } from "../../server/protocol/lens.ts";
import { type LensInfo, type LensState, targetOf } from "../../server/protocol/lens-state.ts";
import type { LensUnit } from "../../server/protocol/lens-unit.ts";
import { modeWords } from "../../server/protocol/mode-words.ts";
import { readingMode, whyNotOffered } from "../../server/protocol/power.ts";
import type { ReadingChoice, ReadingMode } from "../../server/protocol/reading-mode.ts";
import { signed } from "./scale.ts";

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
