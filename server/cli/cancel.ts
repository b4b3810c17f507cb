import { resolve } from "node:path";
import { memberFolders } from "../pipeline/sweep/members.ts";
import { cancelSweep } from "../pipeline/sweep/run-sweep.ts";
import { cancelRun } from "../runs/jobs.ts";
import { runStatus } from "../runs/run-status.ts";
import { describeState } from "../runs/state-words.ts";
import type { OnWait } from "../runs/submission-lease.ts";
import { type CommandResult, defineCommand } from "./command.ts";
import { option } from "./options.ts";
import { existingRun } from "./status.ts";

export const cancel = defineCommand({
  usage: "RUN [options]",
  about: `Asks a run to stop: it finishes its step, saves a checkpoint and ends. Nothing is lost; running it again goes on from there. RUN may be the folder of a sweep, of the report over seeds or of a calibration: then whatever works on it and all its runs.`,
  options: { grace: option.number("seconds to wait before the process is ended by force", 30, { min: 0, max: 3600 }) },
  positionals: ["RUN"],
  run: async ({ options, positionals: [run = ""], note }): Promise<CommandResult> => {
    if ((await memberFolders(resolve(run))) !== undefined)
      return await cancelAll(resolve(run), options.grace * 1000, note);
    const folder = await existingRun(run);
    const hasStopped = await cancelRun(folder, options.grace * 1000, note);
    const { state } = await runStatus(folder);
    const text = hasStopped
      ? `${folder}: ${describeState(state)}`
      : `${folder}: nothing works on it (${describeState(state)})`;
    return { json: { folder, stopped: hasStopped, state }, text };
  },
});

async function cancelAll(folder: string, graceMs: number, note: OnWait): Promise<CommandResult> {
  const stopped = await cancelSweep(folder, graceMs, note);
  const text = stopped.length === 0 ? "nothing works on its runs" : `stopped ${stopped.join(", ")}`;
  return { json: { folder, stopped }, text: `${folder}: ${text}` };
}
