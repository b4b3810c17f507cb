/** Every command, once; package.json gives those that people see a title, and a test compares the two. */
import * as vscode from "vscode";
import type { Extension } from "./context.ts";
import { newExperiment } from "./runs/new-experiment.ts";
import { cancelRun, openRunFile, resumeRun, showRunPage, startExperimentFile, startRun } from "./runs/run-commands.ts";
import { messageOf } from "./server-failure.ts";

type Handler = (extension: Extension, ...args: readonly unknown[]) => unknown;

export const commands = {
  "lfpLens.restartServer": ({ server }) => server.restart(),
  "lfpLens.showLog": ({ log }) => log.show(),
  "lfpLens.runQuick": (extension) => startRun(extension, "quick"),
  "lfpLens.startRun": (extension, clicked) => startExperimentFile(extension, clicked),
  "lfpLens.newExperiment": (extension) => newExperiment(extension),
  "lfpLens.resumeRun": (extension, clicked) => resumeRun(extension, clicked),
  "lfpLens.cancelRun": (extension, clicked) => cancelRun(extension, clicked),
  "lfpLens.showCurves": (extension, clicked) => showRunPage(extension, "curves", clicked),
  "lfpLens.openReport": (extension, clicked) => showRunPage(extension, "report", clicked),
  "lfpLens.openReportMarkdown": (extension, clicked) => openRunFile(extension, clicked, "report.md"),
  "lfpLens.openRunLog": (extension, clicked) => openRunFile(extension, clicked, "log.jsonl"),
  "lfpLens.openRunExperiment": (extension, clicked) => openRunFile(extension, clicked, "experiment.json"),
} as const satisfies Readonly<Record<`lfpLens.${string}`, Handler>>;

/** Registers the table. What a command throws is told to whoever ran it. */
export function registerCommands(extension: Extension): void {
  for (const [id, handler] of Object.entries<Handler>(commands)) {
    const run = async (...args: readonly unknown[]): Promise<unknown> => {
      try {
        return await handler(extension, ...args);
      } catch (error) {
        extension.log.error(`${id}: ${messageOf(error)}`);
        void vscode.window.showErrorMessage(`LFP Lens: ${messageOf(error)}`);
        return undefined;
      }
    };
    extension.own(vscode.commands.registerCommand(id, run));
  }
}
