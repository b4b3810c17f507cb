import { join } from "node:path";
import { LfpError } from "../../common/errors.ts";
import { memberFolders } from "../../pipeline/sweep/members.ts";
import { CompareRuns } from "../../protocol/comparison.ts";
import {
  CancelRun,
  CancelSweep,
  ListRuns,
  ReadReport,
  ResumeRun,
  RunOutput,
  RunSeries,
  StartRun,
} from "../../protocol/runs.ts";
import { readPlace } from "../../runs/executor-settings.ts";
import { cancelRun } from "../../runs/jobs.ts";
import { checkRunName, runPaths } from "../../runs/run-folder.ts";
import type { Dispatcher } from "../dispatch.ts";
import type { Session } from "../session.ts";
import { lfpProgram } from "./lfp-program.ts";
import { readLines, readOutput } from "./read-log.ts";
import type { RunBoard } from "./run-board.ts";
import { viewRun } from "./run-view.ts";

/** A run has no report. */
export class RunPartMissingError extends LfpError {
  readonly code = "not-found";
}

/** Options of `serveRuns`. A run stops some time after the request; a failure to stop it goes to `onFailure`. */
export interface RunRequestsOptions {
  readonly session: Session;
  readonly board: RunBoard;
  readonly onFailure: (error: unknown) => void;
}

/**
 * Serves lists of runs, their start, cancellation and results. A run is a process of its own, not a child of this one.
 */
export function serveRuns(dispatcher: Dispatcher, { session, board, onFailure }: RunRequestsOptions): void {
  dispatcher.request(ListRuns, async () => ({
    runs: await board.list(),
    bundled: await viewRun(session.starterRun, { summaries: new Map() }),
    sweeps: [...board.sweeps],
    misnamed: board.misnamed,
  }));

  dispatcher.request(StartRun, async ({ experiment, runsRoot, name }) => {
    session.requireTrust("Starting a run");
    const root = session.checkRoot(runsRoot);
    if (name !== null) checkRunName(name);
    const { openExperimentRun, submitExperimentRun } = await import("../../pipeline/experiment-run.ts");
    const run = await openExperimentRun(experiment, {
      runsRoot: root,
      out: name === null ? undefined : join(root, name),
    });
    await submitExperimentRun(run, lfpProgram(), root, { place: await readPlace(session.settings.runOn) });
    await board.refresh(run.folder);
    return { folder: run.folder };
  });

  dispatcher.request(ResumeRun, async ({ folder: asked }) => {
    session.requireTrust("Going on with a run");
    const folder = await session.checkRun(asked);
    const { continueRun } = await import("../../pipeline/continue-run.ts");
    await continueRun(folder, lfpProgram(), { on: session.settings.runOn });
    await board.refresh(folder);
    return { folder };
  });

  dispatcher.request(CancelRun, async ({ folder: asked }) => {
    session.requireTrust("Stopping a run");
    const folder = await session.checkRun(asked);
    const { cancelSweep } = await import("../../pipeline/sweep/run-sweep.ts");
    const hasMembers = (await memberFolders(folder)) !== undefined;
    (hasMembers ? cancelSweep(folder) : cancelRun(folder)).then(() => board.refresh(folder)).catch(onFailure);
    return {};
  });

  dispatcher.request(CancelSweep, async ({ folder: asked }) => {
    session.requireTrust("Stopping a sweep");
    const folder = await session.checkSweep(asked);
    const { cancelSweep } = await import("../../pipeline/sweep/run-sweep.ts");
    cancelSweep(folder).catch(onFailure);
    return {};
  });

  dispatcher.request(RunOutput, async ({ folder, offset }) =>
    readOutput(runPaths(await session.checkRun(folder)).output, offset),
  );

  dispatcher.request(RunSeries, async ({ folder: asked, offset, maxLines }) =>
    readLines(runPaths(await session.checkRun(asked)).log, offset, maxLines),
  );

  dispatcher.request(CompareRuns, async ({ folders: asked }) => {
    const folders = await Promise.all(asked.map((folder) => session.checkRun(folder)));
    const { compareRuns } = await import("../../pipeline/finished/compare/compare-runs.ts");
    const { comparisonCsv, comparisonMarkdown } = await import("../../pipeline/finished/compare/files.ts");
    const comparison = await compareRuns(folders);
    return { comparison, csv: comparisonCsv(comparison), markdown: comparisonMarkdown(comparison) };
  });

  dispatcher.request(ReadReport, async ({ folder: asked }) => {
    const folder = await session.checkRun(asked);
    const { readRunReport } = await import("../../pipeline/finished/run-report.ts");
    const found = await readRunReport(folder);
    if (found === undefined)
      throw new RunPartMissingError(`${folder} has no report.json yet; it is written by the run's last stage.`);
    return { markdown: found.markdown, json: found.report };
  });
}
