/** What became of the pairs of a file: written beside the contrasts, and shown by reports on them. */
import { z } from "zod";
import { gradedTasks } from "./gradings.ts";
import { type DropReason, dropReasons, gradingSteps, neutralFaults } from "./reasons.ts";

const keysOf = <K extends string>(table: Readonly<Record<K, string>>) => z.enum(Object.keys(table) as [K, ...K[]]);
const count = z.int().min(0);
const used = z.object({ inputTokens: count, outputTokens: count });

export const gradedSummarySchema = z.object({
  task: z.enum(gradedTasks),
  model: z.string(),
  /** Origin of the server. */
  endpoint: z.string(),
  prompts: z.int(),
  seed: z.int(),
  /** Rows of the preference file, and those that give no pair, by reason. */
  rows: count,
  faults: z.record(z.string(), count),
  leftOut: z.object({ severalMessages: count, refused: count }),
  pairs: count,
  contrasts: count,
  dropped: z
    .array(z.object({ id: z.string(), reason: keysOf(dropReasons), step: keysOf(gradingSteps).nullable() }))
    .readonly(),
  withoutNeutral: z.partialRecord(keysOf(neutralFaults), count),
  agreement: z.object({ answers: count, equal: z.number().nullable(), kappa: z.number().nullable() }),
  left: count,
  stopped: z.enum(["cap", "signal"]).nullable(),
  /** By all commands together. */
  used,
  spentUsd: z.number().nullable(),
});
/** The summary's place beside the contrasts. */
export function summaryOf(contrasts: string): string {
  return `${contrasts}.summary.json`;
}

export type GradedSummary = z.infer<typeof gradedSummarySchema>;

/** Dropped pairs by reason. */
export function droppedCounts(dropped: GradedSummary["dropped"]): Partial<Record<DropReason, number>> {
  const reasons = Object.keys(dropReasons) as DropReason[];
  const counts = reasons.map((reason) => [reason, dropped.filter((one) => one.reason === reason).length] as const);
  return Object.fromEntries(counts.filter(([, found]) => found > 0));
}
