import { readRunReport } from "../pipeline/finished/run-report.ts";
import { runStatus } from "../runs/run-status.ts";
import { describeState } from "../runs/state-words.ts";
import { type CommandResult, defineCommand } from "./command.ts";
import { NoReportError } from "./run-errors.ts";
import { existingRun } from "./status.ts";

export const report = defineCommand({
  usage: "RUN",
  about:
    "Prints a run's report as Markdown, or as JSON with --json: tables whose numbers carry run, stage and seed. Ablations that were measured after the " +
    "run, with `lfp ablate` or in the editor, follow in a section of their own; report.md and report.json in the run's folder hold what the run found itself.",
  options: {},
  positionals: ["RUN"],
  run: async ({ positionals: [run = ""] }): Promise<CommandResult> => readReport(await existingRun(run)),
});

/** The report of a finished run. Throws `NoReportError`. */
export async function readReport(folder: string): Promise<CommandResult> {
  const found = await readRunReport(folder);
  if (found === undefined) throw new NoReportError(folder, describeState((await runStatus(folder)).state));
  return { json: found.report, text: found.markdown };
}
