/** The result of an ablation, in the form that is stored, printed and reported. */
import { z } from "zod";
import { invariant } from "../common/errors.ts";
import { meanInterval } from "../common/mean-interval.ts";
import type { Condition } from "./conditions.ts";
import { crossedInterval } from "./crossed-interval.ts";

const level = z.object({ mean: z.number(), low: z.number(), high: z.number() });
export type Level = z.infer<typeof level>;

/** A quantity under a condition, and its paired change from the unchanged model; 95 % intervals. */
const measured = z.object({ level, change: level.nullable() });
export type Measured = z.infer<typeof measured>;

const conditionResult = z.object({
  kind: z.enum(["none", "this", "mean", "reconstruction", "random"]),
  draw: z.int().nullable(),
  /** Ids of the features that were changed. */
  features: z.array(z.string()),
  /** The measured effect: a mean reward, or of a run on pairs the margin. */
  reward: measured,
  /** What follows from the effect unit by unit, such as the share of pairs with a margin above zero. */
  derived: z.record(z.string(), measured).optional(),
  /** Loss in nats a token; null if it was not measured. */
  loss: measured.nullable(),
  /** The probe's output at positive words minus that at negative ones; null if it was not measured. */
  probe: measured.nullable(),
});
export type ConditionResult = z.infer<typeof conditionResult>;

export const ablationResult = z.object({
  /** What the effect is; absent for rewards. */
  measure: z.enum(["margin"]).optional(),
  features: z.array(z.object({ id: z.string(), factor: z.number() })),
  prompts: z.int(),
  /** Number of completions of every prompt under the set itself; a control may have fewer. */
  completions: z.int().default(1),
  texts: z.int(),
  triples: z.int(),
  seed: z.int(),
  conditions: z.array(conditionResult),
  /**
   * Change of the reward beyond the mean of the random draws, for other prompts and other draws; null without draws.
   */
  beyondRandom: level.nullable(),
  /** Reason why requested random draws were left out. */
  withoutRandom: z.string().optional(),
  /** The random draws together: their mean, prompt by prompt. */
  random: z
    .object({
      draws: z.int(),
      change: level,
      lowest: z.number(),
      highest: z.number(),
      /** Number of draws whose change of the reward was below the set's. */
      below: z.int().nullable().default(null),
      /** Change of the loss, over the draws with a measured loss, and the set's change beyond it. */
      loss: z.object({ change: level, beyond: level }).nullable().default(null),
      /** Energy, the sum of the features' mean squares: of the set, and mean of the draws. */
      energy: z.object({ set: z.number(), draws: z.number() }).nullable().default(null),
    })
    .nullable(),
  /**
   * The same features changed in the base model: the change of its reward, and the change of the gain of tuned over
   * base.
   */
  base: z.object({ change: level, gain: level }).nullable().default(null),
});
export type AblationResult = z.infer<typeof ablationResult>;

/** Effects by completion, one a prompt (or pair) each; undefined where that completion was not sampled under the condition. */
export type Rewards = readonly (readonly number[] | undefined)[];

/** Measurements under one condition, in the same order for all. */
export interface Samples {
  readonly condition: Condition;
  readonly rewards: Rewards;
  /** Losses, one a text; empty if they were not measured. */
  readonly losses: readonly number[];
  /** Separations, one a triple; empty if they were not measured. */
  readonly separations: readonly number[];
  /** Sum of the changed features' mean squares. */
  readonly energy: number;
}

export interface SummaryOptions extends Pick<AblationResult, "features" | "seed"> {
  readonly idOf: (dictionary: string, feature: number) => string;
  /** Rewards of the base model, unchanged and with the features changed. */
  readonly base?: Readonly<Record<"none" | "this", Rewards>>;
  readonly effect?: EffectFacts;
}

/** What is known of an effect that is not a reward, one a prompt. */
export interface EffectFacts {
  readonly measure: NonNullable<AblationResult["measure"]>;
  /** The prompt of each unit: intervals are over prompts, of which each counts by the mean of its units. */
  readonly groups: readonly string[];
  readonly derived: Readonly<Record<string, (value: number) => number>>;
}

/** Summarises all conditions as levels and paired changes; the first condition is the unchanged model. */
export function summarise(measurements: readonly Samples[], options: SummaryOptions): AblationResult {
  const { features, seed, idOf, effect } = options;
  const byPrompt = (rewards: Rewards): Rewards =>
    effect === undefined ? rewards : rewards.map((one) => one && groupMeans(one, effect.groups));
  const samples = measurements.map((one): Samples => ({ ...one, rewards: byPrompt(one.rewards) }));
  const base = options.base && { none: byPrompt(options.base.none), this: byPrompt(options.base.this) };
  const [none] = samples;
  invariant(none !== undefined, "an ablation without its unchanged model was summarised");
  const own = samples.find(({ condition }) => condition.kind === "this");
  const derivedOf = (at: number): Pick<ConditionResult, "derived"> => {
    if (effect === undefined) return {};
    const of = (rewards: Rewards | undefined, value: (one: number) => number): Rewards =>
      byPrompt((rewards ?? []).map((one) => one?.map(value)));
    const [first, own] = [measurements[0]?.rewards, measurements[at]?.rewards];
    return {
      derived: Object.fromEntries(
        Object.entries(effect.derived).map(([name, value]) => [
          name,
          {
            level: levelOf(levelsOf(of(own, value))),
            change: at === 0 ? null : levelOf(changesOf(of(own, value), of(first, value))),
          },
        ]),
      ),
    };
  };
  const conditions = samples.map((one, at): ConditionResult => {
    const isNone = one === none;
    return {
      kind: one.condition.kind,
      draw: one.condition.draw,
      features: one.condition.features.map(({ dictionary, feature }) => idOf(dictionary, feature)),
      reward: {
        level: levelOf(levelsOf(one.rewards)),
        change: isNone ? null : levelOf(changesOf(one.rewards, none.rewards)),
      },
      ...derivedOf(at),
      loss: measuredOf(one.losses, isNone ? undefined : none.losses),
      probe: measuredOf(one.separations, isNone ? undefined : none.separations),
    };
  });
  return {
    ...(effect === undefined ? {} : { measure: effect.measure }),
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

/** Loss over the draws that have one; null if no draw has, or the set has none. */
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

/** Mean over the completions that were sampled, one a prompt. */
function levelsOf(rewards: Rewards): number[] {
  const there = rewards.filter((one) => one !== undefined);
  return meanOf(there);
}

/** Mean change from `from` over the completions that both have, one a prompt. */
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

/** Mean of the values of each group, in the order in which the groups appear. */
function groupMeans(values: readonly number[], groups: readonly string[]): number[] {
  const found = new Map<string, number[]>();
  for (const [at, value] of values.entries()) {
    const group = groups[at] ?? "";
    const known = found.get(group);
    if (known === undefined) found.set(group, [value]);
    else known.push(value);
  }
  return [...found.values()].map((own) => own.reduce((sum, value) => sum + value, 0) / own.length);
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
