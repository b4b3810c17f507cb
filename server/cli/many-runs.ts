/** Shared by the commands that make many runs. */
import { basename } from "node:path";
import { type ErrorCode, LfpError } from "../common/errors.ts";
import { experimentJob } from "../pipeline/experiment-run.ts";
import { MOST_RUNS } from "../pipeline/sweep/manifest.ts";
import { type PlaceKind, readPlace } from "../runs/executor-settings.ts";
import type { EndedRun, ManyRuns } from "../runs/many-runs.ts";
import { runPaths } from "../runs/run-folder.ts";
import { type AnyState, describeState } from "../runs/state-words.ts";
import { UsageError } from "./errors.ts";
import { ownCommand, type RunIo } from "./experiment-run.ts";
import { option } from "./options.ts";
import { progressLine } from "./run-lines.ts";

/** One of a command's runs is not done; the error has the code that the command would have if it were the only run. */
export class OneRunFailedError extends LfpError {
  readonly code: ErrorCode;

  constructor(folder: string, code: ErrorCode, why: string) {
    super(`${folder}: ${why}`);
    this.code = code;
  }
}

/** The error that says why a run is not done; null where it is. */
export function errorOfRun({ folder, state, failure }: EndedRun): OneRunFailedError | null {
  if (failure === undefined) return null;
  const why = state.kind === "failed" ? describeState(state) : failure.message;
  return new OneRunFailedError(folder, failure.code, why);
}

/** Runs at a time; on one machine they take turns to train all the same. */
const defaultAtMost = { local: 1, elsewhere: 10 } as const;

export const atMostOption = option.text(
  "N",
  `how many runs work at a time (default ${defaultAtMost.local} on this machine, ${defaultAtMost.elsewhere} on a cluster)`,
);

/** What is started for a command's runs, where, how many at a time, and how they are told of. Throws `UsageError`. */
export async function manyRuns(
  { on, atMost }: { readonly on: PlaceKind; readonly atMost: string | undefined },
  { device, signal, note, env }: RunIo,
): Promise<Omit<ManyRuns, "folders">> {
  const isHere = on === "local";
  return {
    place: await readPlace(on, env),
    jobOf: async ({ folder, isAgain }) => {
      const run = { folder, experimentFile: runPaths(folder).experiment };
      return experimentJob(run, ownCommand(), process.cwd(), { options: ["--device", device], isAgain });
    },
    atMost: atMostOf(atMost, isHere ? defaultAtMost.local : defaultAtMost.elsewhere),
    signal,
    onAbort: isHere ? "stop" : "leave",
    onState: (folder, state) => note(`${basename(folder)}: ${toldState(state)}`),
    onProgress: (folder, stage, progress) => note(`${basename(folder)}: ${progressLine(stage, progress)}`),
  };
}

function atMostOf(text: string | undefined, byDefault: number): number {
  if (text === undefined) return byDefault;
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || count > MOST_RUNS)
    throw new UsageError(`--at-most is ${JSON.stringify(text)}; expected a whole number from 1 to ${MOST_RUNS}`);
  return count;
}

function toldState(state: AnyState | { readonly kind: "unknown"; readonly why: string }): string {
  return state.kind === "unknown" ? `cannot be asked after: ${state.why}` : describeState(state);
}
