import { invariant } from "../common/errors.ts";
import { isPlanned, type PlannedStage } from "./stage.ts";

/** The given stages and their dependencies in topological order; otherwise in the order given. */
export function inOrder(plan: readonly PlannedStage[]): PlannedStage[] {
  const ordered = new Set<PlannedStage>();
  const visit = (planned: PlannedStage) => {
    if (ordered.has(planned)) return;
    for (const input of Object.values(planned.inputs)) if (isPlanned(input)) visit(input);
    ordered.add(planned);
  };
  for (const planned of plan) visit(planned);
  const ids = [...ordered].map(({ id }) => id);
  for (const { id, stage } of ordered) {
    invariant(/^[a-z0-9-]{1,64}$/.test(id), `stage id ${id}: expected 1 to 64 of a-z, 0-9 and "-".`);
    invariant(/^[a-z0-9-]{1,40}$/.test(stage.name), `stage name ${stage.name}: expected 1 to 40 of a-z, 0-9 and "-".`);
    invariant(ids.indexOf(id) === ids.lastIndexOf(id), `two stages of the plan have the id ${id}.`);
  }
  return [...ordered];
}
