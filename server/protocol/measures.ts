/** What the lines of `log.jsonl` measure: whoever tunes says so before its first step, so that curves and summaries know no way of tuning. */
import * as z from "zod";

/** A number that a step logs. */
export const Measure = z.object({
  /** Names its curve. */
  id: z.string().regex(/^[a-z0-9-]{1,64}$/),
  /** Its name in the log's lines. */
  column: z.string(),
  /** Over its curve, with the unit. */
  title: z.string(),
  /** The column of a standard deviation, drawn around it. */
  spread: z.string().optional(),
  /** What a line of summary calls it, with two digits; a measure without stays out. The first is also told of the whole tuning. */
  short: z.string().optional(),
});
export type Measure = z.infer<typeof Measure>;

/** The line that says what the lines after it measure. */
export const MeasuresLine = z.object({ measures: z.array(Measure).min(1) });

/** What the lines of a stage's log measure, by the first of them. */
export function measuresBy(first: unknown): readonly Measure[] {
  return MeasuresLine.safeParse(first).data?.measures ?? ppoMeasures;
}

/** What tuning by PPO logs a step, in the order in which one looks at it. Logs that say nothing of their measures are of it, too. */
export const ppoMeasures: readonly Measure[] = [
  { id: "reward", column: "rewardMean", title: "Reward", spread: "rewardSd", short: "reward" },
  { id: "kl", column: "kl", title: "KL to the base, nats a completion", short: "KL" },
  { id: "entropy", column: "entropy", title: "Entropy, nats a token" },
  { id: "clip-fraction", column: "clipFraction", title: "Clip fraction" },
  { id: "value-loss", column: "valueLoss", title: "Value loss" },
  { id: "policy-loss", column: "policyLoss", title: "Policy loss" },
];
