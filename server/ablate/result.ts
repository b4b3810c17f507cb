/** What an ablation did, as it is kept, printed and reported. */
import { z } from "zod";
import { meanInterval } from "../common/mean-interval.ts";
import type { Condition } from "./conditions.ts";

const level = z.object({ mean: z.number(), low: z.number(), high: z.number() });
export type Level = z.infer<typeof level>;

/** A quantity under a condition, and its change from the unchanged model, pair by pair; intervals are of 95 %. */
const measured = z.object({ level, change: level.nullable() });
export type Measured = z.infer<typeof measured>;

const conditionResult = z.object({
  kind: z.enum(["none", "this", "mean", "reconstruction", "random"]),
  draw: z.int().nullable(),
  /** Ids of the features that were changed. */
  features: z.array(z.string()),
  reward: measured,
  /** Nats a token; null where it was not measured. */
  loss: measured.nullable(),
  /** The probe's output at positive words minus that at negative ones. */
  probe: measured.nullable(),
});
export type ConditionResult = z.infer<typeof conditionResult>;

export const ablationResult = z.object({
  features: z.array(z.object({ id: z.string(), factor: z.number() })),
  prompts: z.int(),
  texts: z.int(),
  triples: z.int(),
  seed: z.int(),
  conditions: z.array(conditionResult),
  /** Change of the reward beyond what the random draws do on the mean, prompt by prompt; null without draws. */
  beyondRandom: level.nullable(),
  /** The random draws together: mean over them, prompt by prompt. */
  random: z.object({ draws: z.int(), change: level, lowest: z.number(), highest: z.number() }).nullable(),
});
export type AblationResult = z.infer<typeof ablationResult>;

/** What was measured under one condition, in the same order for all. */
export interface Samples {
  readonly condition: Condition;
  /** A prompt each. */
  readonly rewards: readonly number[];
  /** A text each; empty when it was not measured. */
  readonly losses: readonly number[];
  /** A triple each; empty when it was not measured. */
  readonly separations: readonly number[];
}

/** Levels and paired changes of all conditions; the first is the unchanged model. */
export function summarise(
  samples: readonly Samples[],
  about: Pick<AblationResult, "features" | "seed">,
  idOf: (dictionary: string, feature: number) => string,
): AblationResult {
  const [base] = samples;
  const conditions = samples.map(({ condition, rewards, losses, separations }, at): ConditionResult => {
    const isBase = at === 0;
    return {
      kind: condition.kind,
      draw: condition.draw,
      features: condition.features.map(({ dictionary, feature }) => idOf(dictionary, feature)),
      reward: measuredOf(rewards, isBase ? undefined : base?.rewards),
      loss: losses.length === 0 ? null : measuredOf(losses, isBase ? undefined : base?.losses),
      probe: separations.length === 0 ? null : measuredOf(separations, isBase ? undefined : base?.separations),
    };
  });
  return {
    ...about,
    prompts: base?.rewards.length ?? 0,
    texts: base?.losses.length ?? 0,
    triples: base?.separations.length ?? 0,
    conditions,
    ...randomOf(samples),
  };
}

function randomOf(samples: readonly Samples[]): Pick<AblationResult, "beyondRandom" | "random"> {
  const base = samples[0]?.rewards ?? [];
  const own = samples.find(({ condition }) => condition.kind === "this")?.rewards;
  const draws = samples.filter(({ condition }) => condition.kind === "random").map(({ rewards }) => rewards);
  if (draws.length === 0 || own === undefined) return { beyondRandom: null, random: null };
  const meanOfDraws = base.map(
    (_, prompt) => draws.reduce((sum, rewards) => sum + (rewards[prompt] ?? 0), 0) / draws.length,
  );
  const means = draws.map((rewards) => meanInterval(differences(rewards, base)).mean);
  return {
    beyondRandom: levelOf(differences(own, meanOfDraws)),
    random: {
      draws: draws.length,
      change: levelOf(differences(meanOfDraws, base)),
      lowest: Math.min(...means),
      highest: Math.max(...means),
    },
  };
}

function measuredOf(values: readonly number[], base: readonly number[] | undefined): Measured {
  return { level: levelOf(values), change: base === undefined ? null : levelOf(differences(values, base)) };
}

function differences(values: readonly number[], base: readonly number[]): number[] {
  return values.map((value, at) => value - (base[at] ?? 0));
}

function levelOf(values: readonly number[]): Level {
  const { mean, low, high } = meanInterval(values);
  return { mean, low, high };
}
