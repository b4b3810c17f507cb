/** A sweep's folder and its runs' folders: placed, recorded, found again. */
import { join } from "node:path";
import { writeFileAtomically } from "../../common/atomic-file.ts";
import { LfpError } from "../../common/errors.ts";
import { makeFolder } from "../../runs/files.ts";
import { prepareRun, runPaths } from "../../runs/run-folder.ts";
import { LockedError } from "../../runs/run-lock.ts";
import { sharedStages } from "../../runs/shared-stages.ts";
import { loadExperiment } from "../experiment/resolve.ts";
import type { Experiment } from "../experiment/schema.ts";
import type { Sweep } from "./expand.ts";
import { manifestPath, readManifest, type SweepManifest } from "./manifest.ts";

/** A run of a sweep with its folder. */
export interface PlacedRun {
  readonly name: string;
  readonly folder: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly experiment: Experiment;
}

/** No sweep has been started in a folder. */
export class NoSweepError extends LfpError {
  readonly code = "not-found";

  constructor(folder: string) {
    super(`${folder} holds no sweep: start it first, with its file and without --resume`);
  }
}

/** A sweep's runs with their folders, and the manifest that says so. */
export interface PlacedSweep {
  readonly runs: readonly PlacedRun[];
  readonly manifest: SweepManifest;
}

/**
 * Finds a folder for every run of a sweep; writes nothing. Runs that are there already keep theirs, also those that the
 * sweep's file does not ask for any more: a sweep may grow. Throws `SweepFolderError`.
 */
export async function placeSweep(folder: string, sweep: Sweep): Promise<PlacedSweep> {
  const before = (await readManifest(folder))?.runs ?? [];
  const names = new Set(before.map(({ name }) => name));
  const runs: PlacedRun[] = [];
  const listed: SweepManifest["runs"] = [];
  for (const { words, digest, settings, experiment } of sweep.runs) {
    const name = before.find((known) => known.digest === digest)?.name ?? freeName(words, names);
    names.add(name);
    listed.push({ name, digest, settings, isAsked: true });
    runs.push({ name, folder: join(folder, name), settings, experiment: { ...experiment, name } });
  }
  const asked = new Set(listed.map(({ name }) => name));
  const others = before.filter(({ name }) => !asked.has(name)).map((known) => ({ ...known, isAsked: false }));
  return { runs, manifest: { format: 1, runs: [...listed, ...others] } };
}

/**
 * Writes every run's experiment into its folder, and then the manifest: what a manifest names can be started. Throws
 * what `prepareRun` throws.
 */
export async function recordSweep(folder: string, { runs, manifest }: PlacedSweep): Promise<void> {
  await makeFolder(sharedStages(folder));
  for (const run of runs) await prepareUnlessAtWork(folder, run);
  await writeFileAtomically(manifestPath(folder), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** A run that a process works on has its experiment from an earlier command. */
async function prepareUnlessAtWork(folder: string, { name, experiment }: PlacedRun): Promise<void> {
  try {
    await prepareRun(folder, name, experiment);
  } catch (error) {
    if (!(error instanceof LockedError)) throw error;
  }
}

/** The runs that a sweep's folder asks for, whatever its file says now. Throws `NoSweepError` and `SweepFolderError`. */
export async function reopenSweep(folder: string): Promise<PlacedRun[]> {
  const manifest = await readManifest(folder);
  if (manifest === undefined) throw new NoSweepError(folder);
  const asked = manifest.runs.filter(({ isAsked }) => isAsked);
  return await Promise.all(
    asked.map(async ({ name, settings }) => {
      const experiment = await loadExperiment(runPaths(join(folder, name)).experiment);
      return { name, folder: join(folder, name), settings, experiment };
    }),
  );
}

/** The words, with a number where they are taken. */
function freeName(words: string, taken: ReadonlySet<string>): string {
  for (let number = 1; ; number++) {
    const end = number === 1 ? "" : `-${number}`;
    const name = `${words.slice(0, 64 - end.length).replace(/-$/, "")}${end}`;
    if (!taken.has(name)) return name;
  }
}
