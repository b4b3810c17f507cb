import { resolve } from "node:path";
import { writeFileAtomically } from "../common/atomic-file.ts";
import { type RunReport, readRunReport } from "../pipeline/finished/run-report.ts";
import { renderHtml } from "../pipeline/report/html.ts";
import { runStatus } from "../runs/run-status.ts";
import { describeState } from "../runs/state-words.ts";
import { type CommandResult, defineCommand } from "./command.ts";
import { option } from "./options.ts";
import { NoReportError } from "./run-errors.ts";
import { existingRun } from "./status.ts";

export const report = defineCommand({
  usage: "RUN [options]",
  about:
    "Prints a run's report as Markdown, or as JSON with --json: tables whose numbers carry run, stage and seed. Ablations that were measured after the " +
    "run, with `lfp ablate` or in the editor, follow in a section of their own; report.md and report.json in the run's folder hold what the run found itself. " +
    "--html writes the report with its figures as one file for a browser, which holds no script and loads nothing else.",
  options: { html: option.text("FILE", "write the report with its figures as one HTML file, replacing FILE") },
  positionals: ["RUN"],
  run: async ({ options: { html }, positionals: [run = ""] }): Promise<CommandResult> => {
    const folder = await existingRun(run);
    return html === undefined ? await readReport(folder) : await writeHtml(folder, resolve(html));
  },
});

/** The report of a finished run. Throws `NoReportError`. */
export async function readReport(folder: string): Promise<CommandResult> {
  const { report, markdown } = await foundReport(folder);
  return { json: report, text: markdown };
}

async function writeHtml(folder: string, file: string): Promise<CommandResult> {
  const { report } = await foundReport(folder);
  await writeFileAtomically(file, renderHtml(report));
  return { json: { file }, text: `${file} has the report; it shows words and completions of your texts` };
}

async function foundReport(folder: string): Promise<RunReport> {
  const found = await readRunReport(folder);
  if (found === undefined) throw new NoReportError(folder, describeState((await runStatus(folder)).state));
  return found;
}
