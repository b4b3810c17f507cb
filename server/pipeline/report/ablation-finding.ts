/** An ablation's finding in one sentence. */
import type { AblationResult, Level } from "../../ablate/result.ts";
import type { Ablation } from "../artifacts/ablation.ts";
import { effectWords } from "./ablation-words.ts";
import { showCell } from "./document.ts";

/** One line for the top of the report. */
export function ablationFinding({ set, picked }: Ablation): string {
  const change = changeUnder(set);
  if (change === null) return "No ablation was measured.";
  const { beyondRandom: beyond, random } = set;
  const many = `${set.features.length} ${namesInFindings[picked]}`;
  const rank = random === null ? undefined : rankInWords(random);
  const compared =
    beyond === null
      ? set.withoutRandom === undefined
        ? ""
        : ", not compared with random features, of which too few are ever active"
      : `; beyond what random features do that are active as often and as strongly: ${withInterval(beyond)}${rank === undefined ? "" : `, ${rank}`}`;
  const { effect, units } = effectWords(set);
  return `Removing ${many} ${verbOf(change)} ${effect.replace("the ", "the mean ")}: ${withInterval(change)}, 95 % interval, ${set.prompts} ${set.measure === undefined ? "prompts" : units}${compared}.${gainInWords(set)}`;
}

const namesInFindings: { readonly [K in Ablation["picked"]]: string } = {
  attribution: "features that carry most of what tuning raised",
  lowest: "features that hold down most what tuning raised",
  relevant: "features relevant to the task",
  weight: "features that weigh most in the probe",
};

function verbOf({ low, high }: Level): string {
  if (high < 0) return "lowers";
  return low > 0 ? "raises" : "does not measurably change";
}

export function withInterval({ mean, low, high }: Level): string {
  return `${showCell(mean)} (${showCell(low)} to ${showCell(high)})`;
}

function gainInWords({ base }: AblationResult): string {
  if (base === null) return "";
  const part = `the gain of tuned over base model changes by ${withInterval(base.gain)}`;
  return isShown(base.gain)
    ? ` Part of that belongs to tuning: ${part}.`
    : ` That it belongs to tuning is not shown: ${part}.`;
}

/** Whether the interval excludes zero. */
export function isShown({ low, high }: Level): boolean {
  return high < 0 || low > 0;
}

/** Rank of the set's change among those of the random sets; undefined if an earlier version did not count it. */
export function rankInWords({ below, draws }: NonNullable<AblationResult["random"]>): string | undefined {
  if (below === null) return undefined;
  if (below === 0) return draws === 1 ? "below the one draw" : `below all ${draws} draws`;
  if (below === draws) return draws === 1 ? "above the one draw" : `above all ${draws} draws`;
  return `above ${below} of ${draws} draws`;
}

export function changeUnder({ conditions }: AblationResult): Level | null {
  return conditions.find(({ kind }) => kind === "this")?.reward.change ?? null;
}
