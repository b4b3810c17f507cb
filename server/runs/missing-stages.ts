import { runPaths } from "./run-folder.ts";
import { makeTask, type StageOptions, type Task } from "./run-stage.ts";
import { sharedTask } from "./shared-stages.ts";
import { isPlanned, type PlannedStage } from "./stage.ts";
import { inOrder } from "./stage-order.ts";
import { openOutput, type StageOutput } from "./stage-output.ts";

/**
 * The stages of a plan, and those they need, whose outputs a run folder, and the folder in which it shares its stages,
 * lack or have in part only. Changes nothing and trusts files whose time and size have not changed.
 */
export async function missingStages(
  plan: readonly PlannedStage[],
  folder: string,
  options: Pick<StageOptions, "seed" | "deviceClass"> & { readonly shared?: string | undefined },
): Promise<ReadonlySet<PlannedStage>> {
  const outputs = new Map<PlannedStage, StageOutput>();
  const missing = new Set<PlannedStage>();
  const place = { paths: runPaths(folder), versions: {} };
  for (const planned of inOrder(plan)) {
    // A stage's key is known once its inputs are there.
    const isKnown = Object.values(planned.inputs).every((input) => !isPlanned(input) || outputs.has(input));
    const found = isKnown ? await outputOf(makeTask(planned, outputs, place, options), options.shared) : undefined;
    if (found === undefined) missing.add(planned);
    else outputs.set(planned, found);
  }
  return missing;
}

async function outputOf(task: Task, shared: string | undefined): Promise<StageOutput | undefined> {
  const own = await openOutput(task.output, task.identity.key, "fast");
  if (own !== undefined && typeof own !== "string") return own;
  if (shared === undefined) return undefined;
  const found = await openOutput(sharedTask(shared, task).output, task.identity.key, "fast");
  return typeof found === "string" ? undefined : found;
}
