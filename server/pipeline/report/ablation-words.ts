/** The words in which a report tells of an ablation, by what its effect is. */
import type { AblationResult } from "../../ablate/result.ts";
import type { Choice } from "../ablation/choose.ts";

interface EffectWords {
  /** `the reward`: what changes. */
  readonly effect: string;
  /** `mean reward`: the level of a condition, as a column's head. */
  readonly mean: string;
  /** `held-out prompts`: what is averaged over. */
  readonly units: string;
  /** How a condition is measured. */
  readonly how: string;
  /** What attribution was worked out on. */
  readonly attributedOn: string;
  readonly attributedBy: string;
  /** Title of the table of choices. */
  readonly title: string;
}

const words: Readonly<Record<"reward" | "margin", EffectWords>> = {
  reward: {
    effect: "the reward",
    mean: "mean reward",
    units: "held-out prompts",
    how: "Every condition completes the same held-out prompts with the same lengths and random numbers, so changes are taken prompt by prompt.",
    attributedOn: "tuning prompts",
    attributedBy: "completions of tuning prompts",
    title: "Reward after ablation, by how the features were chosen (Table 6)",
  },
  margin: {
    effect: "the margin",
    mean: "mean margin, nats",
    units: "prompts of held-out pairs",
    how:
      "Every condition scores the same held-out pairs: the log-ratio to the base model of the chosen answer less that of the rejected one (the margin), in nats. " +
      "Changes are taken pair by pair, and intervals are over prompts.",
    attributedOn: "pairs that the run tuned on",
    attributedBy: "pairs that the run tuned on",
    title: "Margin after ablation, by how the features were chosen (after Table 6)",
  },
};

export function effectWords({ measure }: Pick<AblationResult, "measure">): EffectWords {
  return words[measure ?? "reward"];
}

/** Why a set has the features that it has. */
export function whyChosen(choice: Choice, { attributedBy }: EffectWords): string {
  const why: { readonly [K in Choice]: string } = {
    attribution: `those that by attribution carry most of what tuning raised, over ${attributedBy}`,
    lowest: `those that by attribution hold down most what tuning raised, over ${attributedBy}`,
    relevant: "those whose explanation has to do with the task",
    weight: "the ones that weigh most in the probe's output",
  };
  return why[choice];
}

export const choiceNames: { readonly [K in Choice]: string } = {
  attribution: "carry most by attribution",
  lowest: "hold down most by attribution",
  relevant: "explanation relevant to the task (the paper)",
  weight: "weigh most in the probe",
};

/** What follows from the effect pair by pair, as columns' heads. */
export const derivedNames: Readonly<Record<string, string>> = {
  accuracy: "preference accuracy",
  preferenceLoss: "loss of the tuning",
};
