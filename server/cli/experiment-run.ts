/** Shared by the commands that work on a run. */

import { basename, resolve } from "node:path";
import { type ErrorCode, LfpError } from "../common/errors.ts";
import { packageVersion } from "../common/package-root.ts";
import { requireAlone } from "../pipeline/continue-run.ts";
import {
  type ChosenDevice,
  choiceOfClass,
  chooseDevice,
  type DeviceChoice,
  deviceChoices,
} from "../pipeline/devices.ts";
import { feedbackCost } from "../pipeline/experiment/feedback-settings.ts";
import { type ExperimentRun, findExperimentRun, placeExperimentRun } from "../pipeline/experiment-run.ts";
import { planExperiment } from "../pipeline/plan-experiment.ts";
import { JOB_VARIABLE } from "../runs/executor.ts";
import { type RunOutcome, runPipeline } from "../runs/run.ts";
import { readRecord } from "../runs/run-folder.ts";
import { sharedStagesOf } from "../runs/shared-stages.ts";
import type { PlannedStage } from "../runs/stage.ts";
import { describeState } from "../runs/state-words.ts";
import type { CommandIo, CommandResult } from "./command.ts";
import { UsageError } from "./errors.ts";
import { option } from "./options.ts";
import { refuseLargeStages } from "./refuse-large-stages.ts";
import { readReport } from "./report.ts";
import { RunLines } from "./run-lines.ts";

export interface ExperimentOptions {
  readonly out: string | undefined;
  readonly seed: string | undefined;
  readonly download: boolean;
}

/** A run failed; the error has the code of the failure. */
export class RunFailedError extends LfpError {
  readonly code: ErrorCode;

  constructor(folder: string, outcome: Extract<RunOutcome, { kind: "failed" }>) {
    super(`${folder}: ${describeState(outcome)}`);
    this.code = outcome.code;
  }
}

/**
 * Opens the run that a command's options name. Throws what the pipeline's `openExperimentRun` throws, `NotAloneError` and `UsageError`.
 */
export async function openRun(
  reference: string,
  { out, seed, download }: ExperimentOptions,
  more: { readonly adopt?: boolean } = {},
): Promise<ExperimentRun> {
  const found = await findExperimentRun(reference, {
    out,
    download,
    seed: seed === undefined ? undefined : seedOf(seed),
  });
  await requireAlone(found.folder);
  return await placeExperimentRun(found, more);
}

export async function plannedStages(
  { experiment, folder }: ExperimentRun,
  { signal, note }: Pick<CommandIo, "signal" | "note">,
): Promise<PlannedStage[]> {
  return planExperiment(experiment, { run: basename(folder), signal, onProgress: note });
}

/** The command line of this program, with which runs of their own processes and jobs are started. */
export function ownCommand(): readonly [string, ...string[]] {
  const [, program = ""] = process.argv;
  return [process.execPath, ...process.execArgv, resolve(program)];
}

/**
 * The device option of commands that work on a run: a run whose outputs were made on one device does not continue on
 * another.
 */
export const runDeviceOption = option.choice(
  "DEVICE",
  "what computes; same: what this run was computed on before, else the CPU",
  ["same", ...deviceChoices],
  "same",
);

export interface RunIo extends Pick<CommandIo, "signal" | "note" | "env"> {
  readonly device: "same" | DeviceChoice;
}

/** What of a run is executed, and how. */
export interface StagesOptions {
  /** All stages of the experiment unless given. */
  readonly only?: readonly PlannedStage[];
  /** The folder in which the run shares its stages; by default the one beside it, if it is there. */
  readonly shared?: string;
  /** What computes; `io.device` says unless given. */
  readonly chosen?: ChosenDevice;
}

/** Executes the run to its end and prints its events. */
export async function runStages(
  experimentRun: ExperimentRun,
  io: RunIo,
  { only, shared, chosen }: StagesOptions = {},
): Promise<RunOutcome> {
  const { experiment, folder } = experimentRun;
  const lines = new RunLines();
  const device =
    chosen ?? (await chooseDevice({ device: await deviceOf(folder, io.device), note: io.note, env: io.env }));
  const plan = only ?? (await plannedStages(experimentRun, io));
  const sharing = shared ?? (await sharedStagesOf(folder));
  const { deviceClass } = device;
  if (choiceOfClass(deviceClass) === "cpu")
    await refuseLargeStages(experimentRun, plan, { deviceClass, shared: sharing });
  const job = io.env[JOB_VARIABLE];
  const cost = feedbackCost(experiment);
  if (cost !== undefined) io.note(cost);
  return runPipeline(plan, folder, {
    seed: experiment.seed,
    deviceClass,
    openDevice: () => device.open(),
    openDevices: (most) => device.openSideBySide(most),
    versions: { "lfp-lens": packageVersion() },
    shared: sharing,
    ...(job === undefined ? {} : { job }),
    signal: io.signal,
    onEvent: (event) => {
      const line = lines.lineOf(event);
      if (line !== undefined) io.note(line);
    },
  });
}

/** The command's result: the report of a whole run, or the location of a stage's output. Throws `RunFailedError`. */
export async function outcomeResult(
  { folder }: ExperimentRun,
  outcome: RunOutcome,
  stage?: string,
): Promise<CommandResult> {
  if (outcome.kind === "failed") throw new RunFailedError(folder, outcome);
  if (outcome.kind === "cancelled")
    return { json: { folder, state: outcome }, text: `${folder}: ${describeState(outcome)}`, status: "requeue" };
  if (stage !== undefined)
    return { json: { folder, stage, state: outcome }, text: `${folder}: stage ${stage} is done` };
  const report = await readReport(folder);
  return { json: { folder, state: outcome, report: report.json }, text: `${report.text}\nThe run is in ${folder}.` };
}

async function deviceOf(folder: string, wished: RunIo["device"]): Promise<DeviceChoice> {
  if (wished !== "same") return wished;
  const record = await readRecord(folder);
  return record === undefined ? "cpu" : choiceOfClass(record.deviceClass);
}

/** Parses a seed option. Throws `UsageError`. */
export function seedOf(text: string, flag = "--seed"): number {
  const seed = Number(text);
  if (!(Number.isInteger(seed) && seed >= 0 && seed <= 0xffff_ffff))
    throw new UsageError(`${flag} is ${JSON.stringify(text)}; expected a whole number from 0 to 4294967295`);
  return seed;
}
