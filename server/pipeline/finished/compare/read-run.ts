/** One run as a comparison reads it: its experiment, its figures, and what is missing. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { LfpError, messageOf } from "../../../common/errors.ts";
import { exists } from "../../../common/exists.ts";
import { unlessMissing } from "../../../runs/files.ts";
import { type RunRecord, runPaths } from "../../../runs/run-folder.ts";
import { runStatus, stageStatusOf } from "../../../runs/run-status.ts";
import { describeState } from "../../../runs/state-words.ts";
import { calibrationPath, readCalibration } from "../../artifacts/calibration-file.ts";
import {
  type HeadlineStage,
  headlineFiles,
  headlineStages,
  type Measured,
  readHeadlines,
} from "../../artifacts/headlines.ts";
import { loadExperiment } from "../../experiment/resolve.ts";
import type { Experiment } from "../../experiment/schema.ts";

export interface ReadRun {
  readonly folder: string;
  /** Undefined if it is missing or cannot be read; `problems` says why. */
  readonly experiment: Experiment | undefined;
  readonly record: RunRecord | undefined;
  readonly state: string;
  /** By headline id. */
  readonly figures: Readonly<Record<string, Measured>>;
  /** Why an output has no figures here, by output. */
  readonly absent: ReadonlyMap<HeadlineStage, Absence>;
  /** Files that cannot be read, a sentence each. */
  readonly problems: readonly string[];
  /** Stages that are not finished, by id. */
  readonly unfinished: readonly string[];
}

/** Why a run lacks an output: it never makes it, has not yet, or keeps it no more. */
export type Absence = "not planned" | "not finished" | "not kept" | "not measured";

/** Folders in a run's folder under which outputs also appear; the run that comes with the program has only those. */
const publishedFolders: Partial<Readonly<Record<HeadlineStage, string>>> = {
  divergence: ".",
  learned: "learned",
  autoencoders: "sae",
  probe: "probe",
  fitted: "fitted",
};

/** Reads a run's folder. Never throws for what is in it: `problems` names files that cannot be read. */
export async function readRun(folder: string): Promise<ReadRun> {
  const problems: string[] = [];
  const orProblem = async <T>(work: Promise<T>, what = ""): Promise<T | undefined> => {
    try {
      return await work;
    } catch (error) {
      if (!(error instanceof LfpError) && !(error instanceof SyntaxError)) throw error;
      problems.push(`${what}${messageOf(error)}`);
      return undefined;
    }
  };
  const status = await orProblem(runStatus(folder));
  const experiment = (await exists(runPaths(folder).experiment))
    ? await orProblem(loadExperiment(runPaths(folder).experiment))
    : undefined;
  const places = await placesOf(folder, status?.record, experiment);
  const figures: Record<string, Measured> = {};
  const absent = new Map<HeadlineStage, Absence>();
  for (const stage of headlineStages) {
    const place = places[stage];
    if ("absence" in place) absent.set(stage, place.absence);
    else Object.assign(figures, await orProblem(readHeadlines({ [stage]: place.path }), `${place.path} is damaged: `));
  }
  const stages = status === undefined ? [] : (status.record?.stages ?? []);
  const isFinished = (stage: RunRecord["stages"][number]): boolean =>
    status !== undefined && ["done", "reused"].includes(stageStatusOf(status, stage));
  return {
    folder,
    experiment,
    record: status?.record,
    state: status === undefined ? "unreadable" : describeState(status.state),
    figures,
    absent,
    problems,
    unfinished: stages.filter((stage) => !isFinished(stage)).map(({ id }) => id),
  };
}

type Place = { readonly path: string } | { readonly absence: Absence };

async function placesOf(
  folder: string,
  record: RunRecord | undefined,
  experiment: Experiment | undefined,
): Promise<Record<HeadlineStage, Place>> {
  const found = await Promise.all(
    headlineStages.map(
      async (stage): Promise<[HeadlineStage, Place]> => [
        stage,
        stage === "calibration" ? await calibrationPlace(folder, experiment) : await placeOf(folder, record, stage),
      ],
    ),
  );
  return Object.fromEntries(found) as Record<HeadlineStage, Place>;
}

async function placeOf(folder: string, record: RunRecord | undefined, stage: HeadlineStage): Promise<Place> {
  const planned = record?.stages.find(({ id }) => id === stage);
  if (planned === undefined) return { absence: record === undefined ? "not finished" : "not planned" };
  if (planned.status !== "done" && planned.status !== "reused") return { absence: "not finished" };
  const published = publishedFolders[stage];
  const folders = [planned.output, published].filter((name) => name !== undefined);
  for (const name of folders) {
    const path = join(folder, name, headlineFiles[stage]);
    if ((await unlessMissing(stat(path))) !== undefined) return { path };
  }
  return { absence: "not kept" };
}

/** The calibration in the run's folder, if it is one of the run's settings. */
async function calibrationPlace(folder: string, experiment: Experiment | undefined): Promise<Place> {
  const isOwn = experiment !== undefined && (await readCalibration(folder, experiment)) !== undefined;
  return isOwn ? { path: join(folder, ...calibrationPath) } : { absence: "not measured" };
}
