/**
 * The runs of `lfp calibrate`: each tuning, and the base model, as a run of its own in the calibration's folder, whose
 * stages they share, by the machinery of sweeps.
 */
import { basename, join } from "node:path";
import { LfpError } from "../common/errors.ts";
import { type CalibrationOptions, calibrationWords } from "../pipeline/calibration-options.ts";
import { partJob } from "../pipeline/continue-run.ts";
import { type ChosenDevice, choiceOfClass, chooseDevice } from "../pipeline/devices.ts";
import { type ExperimentRun, experimentJob, placeExperimentRun } from "../pipeline/experiment-run.ts";
import type { CalibrationPlan } from "../pipeline/plan-calibration.ts";
import { recordMembers } from "../pipeline/sweep/members.ts";
import { runSweep, type SweepRunEnd } from "../pipeline/sweep/run-sweep.ts";
import type { PlacedRun } from "../pipeline/sweep/sweep-folder.ts";
import type { PlaceKind } from "../runs/executor-settings.ts";
import type { ManyRuns } from "../runs/many-runs.ts";
import { missingStages } from "../runs/missing-stages.ts";
import { readRecord, runPaths } from "../runs/run-folder.ts";
import type { CommandResult } from "./command.ts";
import { ownCommand, type RunIo } from "./experiment-run.ts";
import { errorOfRun, manyRuns } from "./many-runs.ts";

/** A calibration's parts were computed on devices whose numbers differ. */
export class MixedDevicesError extends LfpError {
  readonly code = "resource";

  constructor(folder: string, deviceClass: string, missing: readonly string[]) {
    super(
      `${folder}: ${missing.join(", ")} ended without results of ${deviceClass}, on which others were computed. Numbers differ ` +
        "between devices, so all parts of a calibration need machines of one kind: see to that (docs/cluster.md), then run this again.",
    );
  }
}

export interface PartsOptions {
  readonly on: PlaceKind;
  readonly atMost: string | undefined;
  /** Which calibration it is. */
  readonly asked: CalibrationOptions;
}

/** The run of one part of a calibration, whose folder exists then. Throws what `placeExperimentRun` throws. */
export async function openPart(
  { experiment, folder }: Pick<ExperimentRun, "experiment" | "folder">,
  name: string,
): Promise<ExperimentRun> {
  return placeExperimentRun({ experiment, folder: join(folder, name) }, { adopt: true });
}

/** How often parts are started anew where machines of several kinds computed them. */
const MOST_ROUNDS = 3;

/**
 * Computes the parts of a calibration that its folder lacks, and returns the device whose results they are; a result of
 * the command where somebody stopped them. Throws the error of the first part that failed, `MixedDevicesError`, and what
 * `runSweep` throws.
 */
export async function runParts(
  calibration: ExperimentRun,
  plan: CalibrationPlan,
  options: PartsOptions,
  io: RunIo,
): Promise<{ readonly device: ChosenDevice } | { readonly stopped: CommandResult }> {
  const { folder } = calibration;
  for (let round = 0; ; round++) {
    const deviceClass = await classOf([folder, ...[...plan.parts.keys()].map((name) => join(folder, name))], io.device);
    const missing = await missingParts(calibration, plan, deviceClass);
    if (deviceClass !== undefined && missing.length === 0) return { device: deviceOfClass(deviceClass, io) };
    if (deviceClass !== undefined && round === MOST_ROUNDS) throw new MixedDevicesError(folder, deviceClass, missing);
    io.note(`${folder}: computes ${missing.join(", ")}; \`lfp cancel ${folder}\` stops all of them`);
    const device = io.device === "same" && deviceClass !== undefined ? choiceOfClass(deviceClass) : io.device;
    const ended = await runMissing(calibration, missing, options, { ...io, device });
    if (io.signal.aborted) return { stopped: stoppedResult(folder, plan, ended) };
    const failures = ended.flatMap((run) => errorOfRun(run) ?? []);
    const failure = failures.find(({ code }) => code !== "cancelled") ?? failures[0];
    if (failure !== undefined) throw failure;
  }
}

/** The class of the device of the run that was at work last, of those that a wished device could be; undefined without any. */
async function classOf(folders: readonly string[], wished: RunIo["device"]): Promise<string | undefined> {
  const records = (await Promise.all(folders.map(readRecord))).filter((record) => record !== undefined);
  const fits = (deviceClass: string): boolean =>
    wished === "same" || wished === "auto" || choiceOfClass(deviceClass) === wished;
  return records
    .filter(({ deviceClass }) => fits(deviceClass))
    .toSorted((a, b) => Date.parse(a.updated) - Date.parse(b.updated))
    .at(-1)?.deviceClass;
}

/** A device of a class. It is opened only where something is computed, so that it may be another machine's. */
function deviceOfClass(deviceClass: string, { note, env }: RunIo): ChosenDevice {
  const chosen = (): Promise<ChosenDevice> => chooseDevice({ device: choiceOfClass(deviceClass), note, env });
  return {
    deviceClass,
    open: async () => (await chosen()).open(),
    openSideBySide: async (most) => (await chosen()).openSideBySide(most),
  };
}

/** The names of the parts that have to be computed still, in the order of their start. */
async function missingParts(
  { experiment: { seed }, folder }: ExperimentRun,
  { parts }: CalibrationPlan,
  deviceClass: string | undefined,
): Promise<string[]> {
  if (deviceClass === undefined) return [...parts.keys()];
  const missing = await missingStages([...parts.values()].flat(), folder, { seed, deviceClass });
  return [...parts].flatMap(([name, stages]) => (stages.some((stage) => missing.has(stage)) ? [name] : []));
}

/** Brings these parts to their ends. */
async function runMissing(
  calibration: ExperimentRun,
  missing: readonly string[],
  { on, atMost, asked }: PartsOptions,
  io: RunIo,
): Promise<SweepRunEnd[]> {
  const { folder, experiment } = calibration;
  // What fails in one part for good fails in the others too, or leaves nothing that they could be compared with.
  const hopeless = new AbortController();
  const many = await manyRuns({ on, atMost }, { ...io, signal: AbortSignal.any([io.signal, hopeless.signal]) });
  const jobOf: ManyRuns["jobOf"] = async ({ folder: runFolder, isAgain }) => {
    const run = { folder: runFolder, experimentFile: runPaths(runFolder).experiment };
    const part = partJob(folder, basename(runFolder), ["--device", io.device, ...calibrationWords(asked)]);
    return experimentJob(run, ownCommand(), process.cwd(), { ...part, isAgain });
  };
  return runSweep(folder, {
    ...many,
    // Parts that are done may lack what another calibration of the same folder needs.
    redo: true,
    jobOf,
    onState: (run, state) => {
      many.onState(run, state);
      if (state.kind === "failed" && !state.resumable) hopeless.abort();
    },
    open: async () => {
      const runs: PlacedRun[] = [];
      for (const name of missing) {
        const run = await openPart(calibration, name);
        runs.push({ name, folder: run.folder, settings: {}, experiment });
      }
      await recordMembers(folder, runs, { calibration: asked });
      return runs;
    },
  });
}

function stoppedResult(folder: string, { parts }: CalibrationPlan, ended: readonly SweepRunEnd[]): CommandResult {
  const left = ended.filter(({ failure }) => failure !== undefined).map(({ name }) => name);
  return {
    json: { folder, left },
    text: `${folder}: stopped; ${parts.size - left.length} of ${parts.size} parts are done, left are ${left.join(", ")}`,
    status: "requeue",
  };
}
