import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { reportSchema } from "../pipeline/report/document.ts";
import { runStatus } from "../pipeline/run-status.ts";
import { type CommandResult, defineCommand } from "./command.ts";
import { NoReportError } from "./run-errors.ts";
import { describeState } from "./run-lines.ts";
import { existingRun } from "./status.ts";

export const report = defineCommand({
  usage: "RUN",
  about: `Prints a run's report as Markdown, or with --json as it stands in report.json: tables whose numbers carry run, stage and seed.`,
  options: {},
  positionals: ["RUN"],
  run: async ({ positionals: [run = ""] }): Promise<CommandResult> => readReport(await existingRun(run)),
});

/** The report of a finished run. Throws `NoReportError`. */
export async function readReport(folder: string): Promise<CommandResult> {
  const read = async (name: string): Promise<string> => {
    const text = await readFile(join(folder, name), "utf8").catch(() => undefined);
    if (text === undefined) throw new NoReportError(folder, describeState((await runStatus(folder)).state));
    return text;
  };
  return { json: reportSchema.parse(JSON.parse(await read("report.json"))), text: await read("report.md") };
}
