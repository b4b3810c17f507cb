import { resolve } from "node:path";
import { exists } from "../common/exists.ts";
import { memberFolders } from "../pipeline/sweep/members.ts";
import { statusText } from "../questions/run-answers.ts";
import { followEvents } from "../runs/follow.ts";
import { listRuns, runFolder, runPaths } from "../runs/run-folder.ts";
import { type RunStatus, runStatus, stageStatusOf } from "../runs/run-status.ts";
import { type CommandResult, defineCommand } from "./command.ts";
import { UsageError } from "./errors.ts";
import { option } from "./options.ts";
import { NoRunError } from "./run-errors.ts";
import { RunLines } from "./run-lines.ts";

export const status = defineCommand({
  usage: "[RUN] [options]",
  about:
    "Says how a run stands, from its folder and from whoever was asked to run it: whichever process works on it, a job that waits for its turn, or nothing. Without RUN: every run in the folder of runs. RUN may be the folder of a sweep, of the report over seeds or of a calibration: then all its runs. " +
    "With --follow it tells what the run has done and does, until nothing works on it or waits to; ending it leaves the run alone.",
  options: {
    runs: option.text("DIR", "the folder of runs (default runs)"),
    follow: option.flag("tell the run's events as they come, then how it ended"),
  },
  positionals: ["[RUN]"],
  run: async ({ options, positionals: [run], signal, note }): Promise<CommandResult> => {
    if (options.follow) {
      if (run === undefined) throw new UsageError("RUN is missing: --follow follows one run");
      await follow(await existingRun(run), signal, note);
    }
    const folders = run === undefined ? await allRuns(options.runs ?? "runs") : await runsOf(run);
    const found = await Promise.all(folders.map(async (folder) => ({ folder, status: await runStatus(folder) })));
    const text = found.map(({ folder, status: one }) => statusText(folder, one)).join("\n");
    return {
      json: { runs: found.map(({ folder, status: one }) => ({ folder, ...plain(one) })) },
      text: text === "" ? "no runs" : text,
    };
  },
});

/** The run of a folder, and those that belong together by it: of a sweep, of seeds, of a calibration. Throws `NoRunError`. */
async function runsOf(run: string): Promise<string[]> {
  const members = await memberFolders(resolve(run));
  if (members === undefined) return [await existingRun(run)];
  const own = await existingRun(run).catch((error: unknown) => {
    if (error instanceof NoRunError) return undefined;
    throw error;
  });
  return own === undefined ? members : [own, ...members];
}

/** A run's folder. Throws `NoRunError`. */
export async function existingRun(run: string): Promise<string> {
  const folder = resolve(run);
  for (const path of [runPaths(folder).record, runPaths(folder).experiment]) {
    if (await exists(path)) return folder;
  }
  throw new NoRunError(folder);
}

async function follow(folder: string, signal: AbortSignal, note: (line: string) => void): Promise<void> {
  const lines = new RunLines();
  for await (const event of followEvents(folder, { signal })) {
    const line = lines.lineOf(event);
    if (line !== undefined) note(line);
  }
  signal.throwIfAborted();
}

async function allRuns(root: string): Promise<string[]> {
  const names = await listRuns(root);
  return Promise.all(names.map((name) => runFolder(root, name)));
}

function plain(status: RunStatus) {
  const { state, work, process, record } = status;
  const stages = (record?.stages ?? []).map((stage) => ({ ...stage, status: stageStatusOf(status, stage) }));
  return { state, work, process: process ?? null, stages, seed: record?.seed ?? null };
}
