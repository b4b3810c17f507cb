/** Decides which rows of the Runs view to redraw for a run that changed. Independent of VS Code. */
import type { RunView, StageView } from "../../server/protocol/runs.ts";
import { runContext } from "./run-text.ts";

/**
 * Minimum interval between redraws for the time left alone. A redraw replaces a row's buttons, and a click on one
 * during it is lost.
 */
const ROW_MS = 5000;

interface Drawn {
  readonly look: string;
  readonly atMs: number;
  readonly stages: ReadonlyMap<string, string>;
}

/** Remembers what the view last drew of each run. */
export class RowChanges {
  readonly #drawn = new Map<string, Drawn>();

  /**
   * What to redraw of a run: its row and all rows below, or only the rows of some stages (their ids).
   *
   * @param nowMs any monotonic clock
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

/** The content of a run's row apart from the time left. */
function lookOf(run: RunView): string {
  const stages = run.stages.map(({ id, status }: StageView) => [id, status]);
  return JSON.stringify([run.state, runContext(run), stages]);
}
