/** What an ablation did, as it is kept, printed and reported. */
import { z } from "zod";
import { invariant } from "../common/errors.ts";
import { meanInterval } from "../common/mean-interval.ts";
import type { Condition } from "./conditions.ts";
import { crossedInterval } from "./crossed-interval.ts";

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
  /** Of every prompt under the set itself; a control may have fewer. */
  completions: z.int().default(1),
  texts: z.int(),
  triples: z.int(),
  seed: z.int(),
  conditions: z.array(conditionResult),
  /** Change of the reward beyond what the random draws do on the mean, for other prompts and other draws; null without draws. */
  beyondRandom: level.nullable(),
  /** Why random draws were left out although they were asked for. */
  withoutRandom: z.string().optional(),
  /** The random draws together: mean over them, prompt by prompt. */
  random: z
    .object({
      draws: z.int(),
      change: level,
      lowest: z.number(),
      highest: z.number(),
      /** Draws under which the reward changed to less than under the set. */
      below: z.int().nullable().default(null),
      /** Change of the loss, over the draws under which it was measured, and that of the set beyond it. */
      loss: z.object({ change: level, beyond: level }).nullable().default(null),
      /** Sum of the features' mean squares: of the set, and mean of the draws. */
      energy: z.object({ set: z.number(), draws: z.number() }).nullable().default(null),
    })
    .nullable(),
  /** The same features changed in the base model: what that does to its reward, and what both do to the gain of tuned over base. */
  base: z.object({ change: level, gain: level }).nullable().default(null),
});
export type AblationResult = z.infer<typeof ablationResult>;

/** By completion, a prompt each; absent where that completion was not sampled under the condition. */
export type Rewards = readonly (readonly number[] | undefined)[];

/** What was measured under one condition, in the same order for all. */
export interface Samples {
  readonly condition: Condition;
  readonly rewards: Rewards;
  /** A text each; empty when it was not measured. */
  readonly losses: readonly number[];
  /** A triple each; empty when it was not measured. */
  readonly separations: readonly number[];
  /** Sum of the changed features' mean squares. */
  readonly energy: number;
}

export interface SummaryOptions extends Pick<AblationResult, "features" | "seed"> {
  readonly idOf: (dictionary: string, feature: number) => string;
  /** Rewards of the base model as it is and with the features changed. */
  readonly base?: Readonly<Record<"none" | "this", Rewards>>;
}

/** Levels and paired changes of all conditions; the first is the unchanged model. */
export function summarise(samples: readonly Samples[], { features, seed, idOf, base }: SummaryOptions): AblationResult {
  const [none] = samples;
  invariant(none !== undefined, "an ablation without its unchanged model was summarised");
  const own = samples.find(({ condition }) => condition.kind === "this");
  const conditions = samples.map((one): ConditionResult => {
    const isNone = one === none;
    return {
      kind: one.condition.kind,
      draw: one.condition.draw,
      features: one.condition.features.map(({ dictionary, feature }) => idOf(dictionary, feature)),
      reward: {
        level: levelOf(levelsOf(one.rewards)),
        change: isNone ? null : levelOf(changesOf(one.rewards, none.rewards)),
      },
      loss: measuredOf(one.losses, isNone ? undefined : none.losses),
      probe: measuredOf(one.separations, isNone ? undefined : none.separations),
    };
  });
  return {
    features,
    seed,
    prompts: levelsOf(none.rewards).length,
    completions: (own ?? none).rewards.filter((one) => one !== undefined).length,
    texts: none.losses.length,
    triples: none.separations.length,
    conditions,
    ...randomOf(none, own, samples),
    base: base === undefined || own === undefined ? null : gainOf(none, own, base),
  };
}

function randomOf(
  none: Samples,
  own: Samples | undefined,
  samples: readonly Samples[],
): Pick<AblationResult, "beyondRandom" | "random"> {
  const draws = samples.filter(({ condition }) => condition.kind === "random");
  if (draws.length === 0 || own === undefined) return { beyondRandom: null, random: null };
  const ownChanges = changesOf(own.rewards, none.rewards);
  const changes = draws.map(({ rewards }) => changesOf(rewards, none.rewards));
  const means = changes.map((one) => meanInterval(one).mean);
  const ownMean = meanInterval(ownChanges).mean;
  return {
    beyondRandom: crossedInterval(changes.map((one) => differences(ownChanges, one))),
    random: {
      draws: draws.length,
      change: crossedInterval(changes),
      lowest: Math.min(...means),
      highest: Math.max(...means),
      below: means.filter((mean) => mean < ownMean).length,
      loss: lossOf(none, own, draws),
      energy: {
        set: own.energy,
        draws: draws.reduce((sum, { energy }) => sum + energy, 0) / draws.length,
      },
    },
  };
}

/** Over the draws under which it was measured; null where it was under none, or not under the set. */
function lossOf(none: Samples, own: Samples, draws: readonly Samples[]) {
  const measured = draws.filter(({ losses }) => losses.length > 0);
  if (measured.length === 0 || own.losses.length === 0) return null;
  const changes = measured.map(({ losses }) => differences(losses, none.losses));
  const ownChange = differences(own.losses, none.losses);
  return {
    change: crossedInterval(changes),
    beyond: crossedInterval(changes.map((change) => differences(ownChange, change))),
  };
}

function gainOf(
  none: Samples,
  own: Samples,
  base: Readonly<Record<"none" | "this", Rewards>>,
): NonNullable<AblationResult["base"]> {
  const inBase = changesOf(base.this, base.none);
  return { change: levelOf(inBase), gain: levelOf(differences(changesOf(own.rewards, none.rewards), inBase)) };
}

/** Mean over the completions that there are, a prompt each. */
function levelsOf(rewards: Rewards): number[] {
  const there = rewards.filter((one) => one !== undefined);
  return meanOf(there);
}

/** The same of the change from `from`, completion by completion. */
function changesOf(rewards: Rewards, from: Rewards): number[] {
  return meanOf(
    rewards.flatMap((own, completion) => {
      const other = from[completion];
      return own === undefined || other === undefined ? [] : [differences(own, other)];
    }),
  );
}

function meanOf(lists: readonly (readonly number[])[]): number[] {
  const [first = []] = lists;
  return first.map((_, at) => lists.reduce((sum, list) => sum + (list[at] ?? 0), 0) / lists.length);
}

/** Null for no values. */
function measuredOf(values: readonly number[], from: readonly number[] | undefined): Measured | null {
  if (values.length === 0) return null;
  return { level: levelOf(values), change: from === undefined ? null : levelOf(differences(values, from)) };
}

function differences(values: readonly number[], from: readonly number[]): number[] {
  return values.map((value, at) => value - (from[at] ?? 0));
}

function levelOf(values: readonly number[]): Level {
  const { mean, low, high } = meanInterval(values);
  return { mean, low, high };
}
