/**
 * Maps values to colours on a scale of few steps, so that VS Code needs few decoration types. Independent of VS Code.
 */
import type { LensMode } from "../../server/protocol/lens.ts";

/** Strengths from weakest to strongest. Values nearer to zero than the first have no colour. */
export const strengths = [1, 2, 3, 4] as const;
export type Strength = (typeof strengths)[number];

export const hues = ["positive", "negative", "feature"] as const;
export type Hue = (typeof hues)[number];

/** Hues of the probe's output, and so of tokens that may be unfamiliar to it. */
export const signHues = ["positive", "negative"] as const satisfies Hue[];

/**
 * One step of the scale, such as `positive3`, or a faded step for strong values at which the probe extrapolates. Each
 * has a theme colour (`lfpLens.positive3`) and a decoration type.
 */
export type Step = `${Hue}${Strength}` | FadedStep;
export type FadedStep = `${(typeof signHues)[number]}Faded`;

export const steps: readonly Step[] = [
  ...hues.flatMap((hue) => strengths.map((strength) => stepOf(hue, strength))),
  ...signHues.map(fadedStepOf),
];

/** Where each strength begins, as a share of the scale's limit. */
export const strengthStarts: Readonly<Record<Strength, number>> = { 1: 0.15, 2: 0.35, 3: 0.6, 4: 0.85 };

/** Lowest strength at which faded values are still shown. */
const FADED_FROM: Strength = 3;

/**
 * The step for a value on a scale to `limit`; undefined for values that are near zero, missing or not a number, and for
 * faded ones that are not strong.
 */
export function stepFor(
  value: number | null,
  limit: number,
  mode: LensMode["kind"],
  isFaded = false,
): Step | undefined {
  if (value === null) return undefined;
  const share = Math.abs(value) / limit;
  const strength = strengths.findLast((candidate) => share >= strengthStarts[candidate]);
  if (strength === undefined) return undefined;
  if (isOneSided(mode)) return value > 0 ? stepOf("feature", strength) : undefined;
  const hue = value > 0 ? "positive" : "negative";
  if (isFaded) return strength >= FADED_FROM ? fadedStepOf(hue) : undefined;
  return stepOf(hue, strength);
}

/** Whether a mode's numbers are never negative; such modes use the hue of a feature's activation. */
export function isOneSided(mode: LensMode["kind"]): boolean {
  return mode === "feature" || mode === "kl";
}

export function stepOf(hue: Hue, strength: Strength): `${Hue}${Strength}` {
  return `${hue}${strength}`;
}

export function fadedStepOf(hue: (typeof signHues)[number]): FadedStep {
  return `${hue}Faded`;
}

/** `+0.31`, `−1.20`: always with a sign, and a true minus. */
export function signed(value: number): string {
  const text = Math.abs(value).toFixed(2);
  if (text === "0.00") return text;
  return value < 0 ? `−${text}` : `+${text}`;
}
