/** Which rows of the Runs view are drawn anew for a run that changed. Knows no editor. */
import type { RunView, StageView } from "../../server/protocol/runs.ts";
import { runContext } from "./run-text.ts";

/** A row's buttons are made anew with it, and a click on one that goes meanwhile is lost: time left alone changes a run's row only so often. */
const ROW_MS = 5000;

interface Drawn {
  readonly look: string;
  readonly atMs: number;
  readonly stages: ReadonlyMap<string, string>;
}

/** Keeps what was drawn of each run. */
export class RowChanges {
  readonly #drawn = new Map<string, Drawn>();

  /**
   * What of a run is to be drawn: the run's row with all below it, or only the rows of some of its stages.
   *
   * @param nowMs any clock that goes forward
   */
  of(run: RunView, nowMs: number): "run" | readonly string[] {
    const before = this.#drawn.get(run.folder);
    const look = lookOf(run);
    const stages = new Map(run.stages.map((stage) => [stage.id, JSON.stringify(stage)]));
    const isDue = before?.look !== look || nowMs - before.atMs >= ROW_MS;
    this.#drawn.set(run.folder, { look, atMs: isDue ? nowMs : before.atMs, stages });
    if (isDue) return "run";
    return run.stages.flatMap(({ id }) => (before.stages.get(id) === stages.get(id) ? [] : [id]));
  }
}

/** All of a run's row, but for the time left. */
function lookOf(run: RunView): string {
  const stages = run.stages.map(({ id, status }: StageView) => [id, status]);
  return JSON.stringify([run.state, runContext(run), stages]);
}
