/** `lfp compare`: runs side by side. */
import { extname, resolve } from "node:path";
import { writeFileAtomically } from "../common/atomic-file.ts";
import { exists } from "../common/exists.ts";
import { compareRuns } from "../pipeline/finished/compare/compare-runs.ts";
import { comparisonCsv, comparisonMarkdown } from "../pipeline/finished/compare/files.ts";
import { comparisonText } from "../pipeline/finished/compare/text.ts";
import type { RunComparison } from "../protocol/comparison.ts";
import { listRuns, runFolder, runPaths } from "../runs/run-folder.ts";
import { type CommandResult, defineCommand } from "./command.ts";
import { UsageError } from "./errors.ts";
import { option } from "./options.ts";
import { existingRun } from "./status.ts";

type Format = "text" | "json" | "csv" | "markdown";

const renderers: { readonly [F in Format]: (comparison: RunComparison) => string } = {
  text: (comparison) => `${comparisonText(comparison)}\n`,
  json: (comparison) => `${JSON.stringify(comparison, undefined, 2)}\n`,
  csv: comparisonCsv,
  markdown: comparisonMarkdown,
};

/** The formats of `--out` by the file's ending, where no option names one. */
const formatsByEnding: Readonly<Record<string, Format>> = { ".json": "json", ".csv": "csv", ".md": "markdown" };

export const compare = defineCommand({
  usage: "RUN... [options]",
  about:
    "Sets runs side by side: the settings that differ, then each figure (rewards, divergences, readings, probe, ablations, dictionaries) with its 95 % interval within the run and, " +
    "for runs that differ by seed alone, mean and interval between seeds. RUN may be a folder of runs, such as a sweep's: then its runs.\n\n" +
    "Unfinished runs and runs of other tasks take part with what they have, and the table says what they lack.",
  options: {
    csv: option.flag("one table with every number"),
    markdown: option.flag("tables for a document"),
    out: option.text(
      "FILE",
      "write the table to FILE instead of printing it; without --csv or --markdown its ending decides: .csv, .md, .json, else text",
    ),
  },
  positionals: ["RUN..."],
  run: async ({ options: { csv, markdown, out }, positionals, note }): Promise<CommandResult> => {
    if (csv && markdown) throw new UsageError("--csv and --markdown exclude each other");
    const folders = [...new Set((await Promise.all(positionals.map((one) => runsIn(one, note)))).flat())];
    if (folders.length < 2)
      throw new UsageError(
        `got ${folders.length} run to compare; expected at least two, or a folder with several runs`,
      );
    const comparison = await compareRuns(folders);
    const named = csv ? "csv" : markdown ? "markdown" : undefined;
    if (out === undefined) return { json: comparison, text: renderers[named ?? "text"](comparison).trimEnd() };
    const format = named ?? formatsByEnding[extname(out).toLowerCase()] ?? "text";
    await writeFileAtomically(resolve(out), renderers[format](comparison));
    return { json: comparison, text: `${folders.length} runs are compared in ${out}` };
  },
});

/** A run's folder, or the runs in a folder of runs; those without an experiment are reports over runs. */
async function runsIn(given: string, note: (line: string) => void): Promise<string[]> {
  const names = await listRuns(resolve(given));
  if ((await exists(runPaths(resolve(given)).record)) || names.length === 0) return [await existingRun(given)];
  const found = await Promise.all(
    names.map(async (name) => {
      const folder = await runFolder(resolve(given), name);
      return { folder, isRun: await exists(runPaths(folder).experiment) };
    }),
  );
  const runs = found.filter(({ isRun }) => isRun).map(({ folder }) => folder);
  if (runs.length === 0) return [await existingRun(given)];
  const left = found.length - runs.length;
  if (left > 0) note(`${given}: ${left} ${left === 1 ? "folder" : "folders"} without an experiment left out`);
  return runs;
}
