import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { listRuns, runFolder, runPaths } from "../pipeline/run-folder.ts";
import { type RunStatus, runStatus } from "../pipeline/run-status.ts";
import { type CommandResult, defineCommand } from "./command.ts";
import { option } from "./options.ts";
import { NoRunError } from "./run-errors.ts";
import { describeState } from "./run-lines.ts";

export const status = defineCommand({
  usage: "[RUN] [options]",
  about: `Says how a run stands, from its folder alone: whichever process works on it, or none. Without RUN: every run in the folder of runs.`,
  options: { runs: option.text("DIR", "the folder of runs (default runs)") },
  positionals: ["[RUN]"],
  run: async ({ options, positionals: [run] }): Promise<CommandResult> => {
    const folders = run === undefined ? await allRuns(options.runs ?? "runs") : [await existingRun(run)];
    const found = await Promise.all(folders.map(async (folder) => ({ folder, status: await runStatus(folder) })));
    const text = found.map(({ folder, status: one }) => describe(folder, one)).join("\n");
    return {
      json: { runs: found.map(({ folder, status: one }) => ({ folder, ...plain(one) })) },
      text: text === "" ? "no runs" : text,
    };
  },
});

/** A run's folder. Throws `NoRunError`. */
export async function existingRun(run: string): Promise<string> {
  const folder = resolve(run);
  for (const path of [runPaths(folder).record, runPaths(folder).experiment]) {
    if ((await stat(path).catch(() => undefined)) !== undefined) return folder;
  }
  throw new NoRunError(folder);
}

async function allRuns(root: string): Promise<string[]> {
  const names = await listRuns(root);
  return Promise.all(names.map((name) => runFolder(root, name)));
}

function describe(folder: string, { state, process, record }: RunStatus): string {
  const stages = (record?.stages ?? []).map(({ id, status: stageStatus }) => `  ${id.padEnd(14)}${stageStatus}`);
  const where = process === undefined ? "" : ` (process ${process.pid} on ${process.host})`;
  return [`${folder}: ${describeState(state)}${where}`, ...stages].join("\n");
}

function plain({ state, process, record }: RunStatus) {
  return { state, process: process ?? null, stages: record?.stages ?? [], seed: record?.seed ?? null };
}
