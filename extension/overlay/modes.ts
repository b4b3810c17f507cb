/** The modes of the overlay in words. */
import type { LensMode } from "../../server/protocol/lens.ts";
import { type LensInfo, type LensState, targetOf } from "../../server/protocol/lens-state.ts";
import type { LensUnit } from "../../server/protocol/lens-unit.ts";
import { modeWords } from "../../server/protocol/mode-words.ts";
import { readingMode, whyNotOffered } from "../../server/protocol/power.ts";
import type { ReadingChoice, ReadingMode } from "../../server/protocol/reading-mode.ts";
import { differenceIn } from "../looked-through.ts";
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
  const kind = targetOf(lens)?.kind ?? "run";
  if (choice !== "auto" && (kind === "run" || (kind === "pair" && choice.kind === "kl"))) return choice;
  return { kind: kind !== "run" || wanted === "auto" ? "learned" : wanted };
}

/** A mode's name; that of the difference of two runs names them. */
export function modeLabel(mode: LensMode, lens: LensState): string {
  const runs = differenceIn(lens);
  if (runs !== undefined && mode.kind === "learned") return `${runs.a.name} minus ${runs.b.name}`;
  return mode.kind === "feature" ? `Feature ${mode.id}` : modeWords[mode.kind].label;
}

/** What the sign of a mode's numbers means, where its name does not make it plain. */
export function signWords(mode: LensMode["kind"], lens: LensState): string | undefined {
  const runs = differenceIn(lens);
  if (runs === undefined) return modeWords[mode].sign;
  const { a, b, sharesTokens } = runs;
  const units = sharesTokens ? "" : "; by words, since their tokenizers are not the same";
  return `learned reward of ${a.name} minus that of ${b.name}, above zero: ${a.name} learned more reward${units}`;
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
