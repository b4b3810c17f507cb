/** What the commands that work on a run share. */
import { basename } from "node:path";
import { type ErrorCode, LfpError } from "../common/errors.ts";
import { packageVersion } from "../common/package-root.ts";
import { choiceOfClass, chooseDevice, type DeviceChoice, deviceChoices } from "../pipeline/devices.ts";
import { type ExperimentRun, openExperimentRun } from "../pipeline/experiment-run.ts";
import { planExperiment } from "../pipeline/plan-experiment.ts";
import { type RunOutcome, runPipeline } from "../runs/run.ts";
import { readRecord } from "../runs/run-folder.ts";
import type { PlannedStage } from "../runs/stage.ts";
import type { CommandIo, CommandResult } from "./command.ts";
import { UsageError } from "./errors.ts";
import { option } from "./options.ts";
import { readReport } from "./report.ts";
import { describeState, RunLines } from "./run-lines.ts";

export interface ExperimentOptions {
  readonly out: string | undefined;
  readonly seed: string | undefined;
  readonly download: boolean;
}

/** A run ended without its result; the code is that of what stopped it. */
export class RunFailedError extends LfpError {
  readonly code: ErrorCode;

  constructor(folder: string, outcome: Extract<RunOutcome, { kind: "failed" }>) {
    super(`${folder}: ${describeState(outcome)}`);
    this.code = outcome.code;
  }
}

/** The run that a command's options ask for. Throws what the pipeline's `openExperimentRun` throws, and `UsageError`. */
export async function openRun(reference: string, { out, seed, download }: ExperimentOptions): Promise<ExperimentRun> {
  return openExperimentRun(reference, { out, download, seed: seed === undefined ? undefined : seedOf(seed) });
}

export async function plannedStages(
  { experiment, folder }: ExperimentRun,
  { signal, note }: Pick<CommandIo, "signal" | "note">,
): Promise<PlannedStage[]> {
  return planExperiment(experiment, { run: basename(folder), signal, onProgress: note });
}

/** The device option of commands that work on a run: outputs made on one device are not gone on with on another. */
export const runDeviceOption = option.choice(
  "DEVICE",
  "what computes; same: what this run was computed on before, else the CPU",
  ["same", ...deviceChoices],
  "same",
);

export interface RunIo extends Pick<CommandIo, "signal" | "note" | "env"> {
  readonly device: "same" | DeviceChoice;
}

/** Works on the run to its end, telling its events. All stages unless some are given. */
export async function runStages(
  experimentRun: ExperimentRun,
  io: RunIo,
  only?: readonly PlannedStage[],
): Promise<RunOutcome> {
  const { experiment, folder } = experimentRun;
  const lines = new RunLines();
  const device = await chooseDevice({ device: await deviceOf(folder, io.device), note: io.note, env: io.env });
  const plan = only ?? (await plannedStages(experimentRun, io));
  return runPipeline(plan, folder, {
    seed: experiment.seed,
    deviceClass: device.deviceClass,
    openDevice: () => device.open(),
    versions: { "lfp-lens": packageVersion() },
    signal: io.signal,
    onEvent: (event) => {
      const line = lines.lineOf(event);
      if (line !== undefined) io.note(line);
    },
  });
}

/** What the command prints: the report of a whole run, or where a stage's output is. Throws `RunFailedError`. */
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

/** A seed as an option gives it. Throws `UsageError`. */
export function seedOf(text: string, flag = "--seed"): number {
  const seed = Number(text);
  if (!(Number.isInteger(seed) && seed >= 0 && seed <= 0xffff_ffff))
    throw new UsageError(`${flag} is ${JSON.stringify(text)}; expected a whole number from 0 to 4294967295`);
  return seed;
}
