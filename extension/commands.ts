/** The table of all commands. package.json gives those that people see a title; a test compares the two. */
import * as vscode from "vscode";
import { ablationCommands } from "./ablation/commands.ts";
import { apiKeyCommands } from "./api-key.ts";
import { chooseRun } from "./choose-run.ts";
import { compareCheckpoints } from "./compare-checkpoints.ts";
import { closeDifference } from "./compare-learned.ts";
import { compareCompletions } from "./completions.ts";
import type { Extension } from "./context.ts";
import { chooseCsvColumns } from "./csv-columns.ts";
import { diagnosticsCommands } from "./diagnostics.ts";
import { featureCommands } from "./feature-commands.ts";
import { featureActions } from "./features/feature-actions.ts";
import { inspectPair } from "./inspect-pair.ts";
import { overlayCommands } from "./overlay/commands.ts";
import { pairCommands } from "./pairs/commands.ts";
import { compareRuns } from "./runs/compare-runs.ts";
import { exportRun } from "./runs/export-run.ts";
import { deleteRun, duplicateRun, renameRun, revealRun } from "./runs/manage-runs.ts";
import { newExperiment } from "./runs/new-experiment.ts";
import {
  cancelRun,
  openReportMarkdown,
  openRunFile,
  resumeRun,
  showRunOutput,
  showRunPage,
  startExperimentFile,
  startRun,
} from "./runs/run-commands.ts";
import { resumeSweep, startSweep } from "./runs/start-sweep.ts";
import { cancelSweep, compareSweep } from "./runs/sweep-commands.ts";
import { isObsolete, messageOf } from "./server-failure.ts";

type Handler = (extension: Extension, ...args: readonly unknown[]) => unknown;

export const commands = {
  ...overlayCommands,
  ...ablationCommands,
  ...featureCommands,
  ...featureActions,
  ...apiKeyCommands,
  ...diagnosticsCommands,
  ...pairCommands,
  "lfpLens.chooseRun": chooseRun,
  "lfpLens.compareCheckpoints": compareCheckpoints,
  "lfpLens.closeDifference": (extension) => closeDifference(extension),
  "lfpLens.compareCompletions": compareCompletions,
  "lfpLens.chooseCsvColumns": () => chooseCsvColumns(),
  "lfpLens.inspectPair": inspectPair,
  "lfpLens.restartServer": ({ server }) => server.restart(),
  "lfpLens.serverProblem": offerRestart,
  "lfpLens.showLog": ({ log }) => log.show(),
  "lfpLens.runQuick": (extension) => startRun(extension, "quick", "quick"),
  "lfpLens.startRun": (extension, clicked) => startExperimentFile(extension, clicked),
  "lfpLens.startSweep": (extension, clicked) => startSweep(extension, clicked),
  "lfpLens.resumeSweep": (extension, clicked) => resumeSweep(extension, clicked),
  "lfpLens.cancelSweep": (extension, clicked) => cancelSweep(extension, clicked),
  "lfpLens.compareSweep": (extension, clicked) => compareSweep(extension, clicked),
  "lfpLens.newExperiment": (extension) => newExperiment(extension),
  "lfpLens.resumeRun": (extension, clicked) => resumeRun(extension, clicked),
  "lfpLens.cancelRun": (extension, clicked) => cancelRun(extension, clicked),
  "lfpLens.compareRuns": (extension, clicked, selected) => compareRuns(extension, clicked, selected),
  "lfpLens.exportRun": (extension, clicked) => exportRun(extension, clicked),
  "lfpLens.revealRun": (extension, clicked) => revealRun(extension, clicked),
  "lfpLens.renameRun": (extension, clicked) => renameRun(extension, clicked),
  "lfpLens.duplicateRun": (extension, clicked) => duplicateRun(extension, clicked),
  "lfpLens.deleteRun": (extension, clicked) => deleteRun(extension, clicked),
  "lfpLens.showCurves": (extension, clicked) => showRunPage(extension, "curves", clicked),
  "lfpLens.openReport": (extension, clicked) => showRunPage(extension, "report", clicked),
  "lfpLens.openReportMarkdown": (extension, clicked) => openReportMarkdown(extension, clicked),
  "lfpLens.openRunLog": (extension, clicked) => openRunFile(extension, clicked, "log.jsonl"),
  "lfpLens.showRunOutput": (extension, clicked) => showRunOutput(extension, clicked),
  "lfpLens.openRunExperiment": (extension, clicked) => openRunFile(extension, clicked, "experiment.json"),
} as const satisfies Readonly<Record<`lfpLens.${string}`, Handler>>;

/**
 * Registers all commands. Shows the user what a command throws, unless the error only means that nobody waits for the
 * result.
 */
export function registerCommands(extension: Extension): void {
  for (const [id, handler] of Object.entries<Handler>(commands)) {
    const run = async (...args: readonly unknown[]): Promise<unknown> => {
      try {
        return await handler(extension, ...args);
      } catch (error) {
        if (isObsolete(error)) return undefined;
        extension.log.error(`${id}: ${messageOf(error)}`);
        void vscode.window.showErrorMessage(`LFP Lens: ${messageOf(error)}`);
        return undefined;
      }
    };
    extension.own(vscode.commands.registerCommand(id, run));
  }
}

/** Offers to restart a server that stays down. */
export async function offerRestart({ server, log }: Extension): Promise<void> {
  const why = server.state.kind === "down" ? server.state.why : "The analysis server is running.";
  const [restart, show] = ["Restart", "Show Log"];
  const chosen = await vscode.window.showErrorMessage(`LFP Lens: ${why}`, restart, show);
  if (chosen === restart) await server.restart();
  else if (chosen === show) log.show();
}
