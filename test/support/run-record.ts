import type { RunRecord } from "../../server/runs/run-folder.ts";

/** What a finished run's run.json holds; `own` says what is otherwise. */
export function runRecord(own: Partial<RunRecord> = {}): RunRecord {
  return {
    format: 1,
    name: "x",
    state: { kind: "done" },
    seed: 0,
    deviceClass: "cpu",
    versions: {},
    stages: [],
    published: [],
    updated: "2026-01-01T00:00:00.000Z",
    ...own,
  };
}
