/**
 * The measures in `log.jsonl`. A tuner declares them before its first step, so that curves and summaries need not know
 * the tuner.
 */
import * as z from "zod";

/** A number that a step logs. */
export const Measure = z.object({
  /** Names its curve. */
  id: z.string().regex(/^[a-z0-9-]{1,64}$/),
  /** Its name in the log's lines. */
  column: z.string(),
  /** Title of its curve, with the unit. */
  title: z.string(),
  /** The column with its standard deviation, drawn as a band around the curve. */
  spread: z.string().optional(),
  /**
   * Its name in a summary line, which gives two digits; a measure without one is left out. For the first such measure
   * the summary also covers the whole tuning.
   */
  short: z.string().optional(),
});
export type Measure = z.infer<typeof Measure>;

/** The log line that declares the measures of the lines after it. */
export const MeasuresLine = z.object({ measures: z.array(Measure).min(1) });

/** The measures of a stage's log, from its first line. */
export function measuresBy(first: unknown): readonly Measure[] {
  return MeasuresLine.safeParse(first).data?.measures ?? ppoMeasures;
}

/** The name in the log of the mean reward by a part of a weighted reward. */
export function partColumn(name: string): string {
  return `rewardMean by ${name}`;
}

/** PPO's measures, with the reward by each of these parts of a weighted reward after the whole. */
export function ppoMeasuresWith(parts: readonly string[]): readonly Measure[] {
  const byPart = parts.map((name, at) => ({
    id: `reward-part-${at + 1}`,
    column: partColumn(name),
    title: `Reward by ${name}, without its weight`,
  }));
  return ppoMeasures.flatMap((measure) => (measure.id === "reward" ? [measure, ...byPart] : [measure]));
}

/** The measures that PPO logs per step, in the order of display. Logs that declare no measures are PPO's. */
export const ppoMeasures: readonly Measure[] = [
  { id: "reward", column: "rewardMean", title: "Reward", spread: "rewardSd", short: "reward" },
  { id: "kl", column: "kl", title: "KL to the base, nats a completion", short: "KL" },
  { id: "entropy", column: "entropy", title: "Entropy, nats a token" },
  { id: "clip-fraction", column: "clipFraction", title: "Clip fraction" },
  { id: "value-loss", column: "valueLoss", title: "Value loss" },
  { id: "policy-loss", column: "policyLoss", title: "Policy loss" },
];
