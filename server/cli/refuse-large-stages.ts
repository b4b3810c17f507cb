import { resolveReference } from "../models/open.ts";
import { largeStages, type MachineLimits, refuseTooLarge } from "../pipeline/experiment/memory.ts";
import type { ExperimentRun } from "../pipeline/experiment-run.ts";
import { missingStages } from "../runs/missing-stages.ts";
import type { PlannedStage } from "../runs/stage.ts";

interface LargeStagesOptions {
  readonly deviceClass: string;
  /** The folder in which the run shares its stages. */
  readonly shared: string | undefined;
  /** Those of this machine unless given. */
  readonly limits?: MachineLimits;
}

/**
 * Refuses stages of a plan that are too large for the CPU and are neither in the run's folder nor in the shared one.
 * Throws what `refuseTooLarge` and `resolveReference` throw.
 */
export async function refuseLargeStages(
  { experiment, folder }: Pick<ExperimentRun, "experiment" | "folder">,
  plan: readonly PlannedStage[],
  { deviceClass, shared, limits }: LargeStagesOptions,
): Promise<void> {
  const large = plan.filter(({ id }) => largeStages.some((stage) => stage === id));
  const missing = await missingStages(large, folder, { seed: experiment.seed, deviceClass, shared });
  const toDo = largeStages.filter((stage) => [...missing].some(({ id }) => id === stage));
  if (toDo.length === 0) return;
  await refuseTooLarge(
    experiment,
    (await resolveReference(experiment.model, { download: false })).folder,
    toDo,
    limits,
  );
}
