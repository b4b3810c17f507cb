/** Where questions find runs, and how they open them; each program that answers questions has its own. */
import { stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { starterRunFolder } from "../common/package-root.ts";
import type { Lens } from "../lens/lens.ts";
import type { RunReport } from "../pipeline/finished/run-report.ts";
import { unlessMissing } from "../runs/files.ts";
import { listRuns, runFolder } from "../runs/run-folder.ts";
import { runStatus } from "../runs/run-status.ts";
import type { FeatureStore } from "../store/store.ts";
import { UnknownRunError } from "./errors.ts";

export interface Sources {
  /** Absolute paths of the folders that hold runs, in order of preference. */
  readonly roots: readonly string[];
  /** Folder of the run that questions are about by default; undefined leaves the choice to `defaultRun`. */
  readonly preferred: string | undefined;
  /** Opens a run for reading; `done` gives it back. Throws what `openLens` throws. */
  borrowLens(folder: string, signal: AbortSignal): Promise<{ readonly lens: Lens; readonly done: () => Promise<void> }>;
  /** Runs work of native code on an input, which `parts` identify permanently. */
  guard<T>(parts: readonly string[], work: () => Promise<T>): Promise<T>;
  /** Runs `work` with a run's feature store. Throws `StoreError`. */
  useStore<T>(folder: string, work: (store: FeatureStore) => T): Promise<T>;
  /** Reads a run's report; undefined if it has none yet. */
  readReport(folder: string): Promise<RunReport | undefined>;
}

/** A run that can be asked about. */
export interface KnownRun {
  /** Its folder's name, unique unless two folders of runs have one of the same name. */
  readonly name: string;
  readonly folder: string;
}

/** All runs, those of the folders first, then the bundled one. */
export async function knownRuns({ roots }: Pick<Sources, "roots">): Promise<KnownRun[]> {
  const own = await Promise.all(
    roots.map(async (root) =>
      Promise.all((await listRuns(root)).map(async (name) => ({ name, folder: await runFolder(root, name) }))),
    ),
  );
  const starter = starterRunFolder();
  const bundled =
    (await unlessMissing(stat(starter))) === undefined ? [] : [{ name: basename(starter), folder: starter }];
  return [...own.flat(), ...bundled];
}

/**
 * The folder of the run that a question names, or of the run by default. A name may also be the path of a folder that
 * `knownRuns` lists. Throws `UnknownRunError`.
 */
export async function findRun(sources: Sources, name: string | undefined): Promise<string> {
  const known = await knownRuns(sources);
  if (name === undefined) return sources.preferred ?? (await defaultRun(known));
  const found = known.find((run) => run.name === name) ?? known.find(({ folder }) => folder === resolve(name));
  if (found === undefined)
    throw new UnknownRunError(
      name,
      known.map((run) => run.name),
    );
  return found.folder;
}

/** The finished run that was worked on last, else the bundled one. Throws `UnknownRunError` if there is none. */
async function defaultRun(known: readonly KnownRun[]): Promise<string> {
  const dated = await Promise.all(known.map(async ({ folder }) => ({ folder, updated: await finishedAt(folder) })));
  const [newest] = dated
    .filter(({ updated }) => updated !== undefined)
    .toSorted((a, b) => ((a.updated ?? "") < (b.updated ?? "") ? 1 : -1));
  const found = newest?.folder ?? known.find(({ folder }) => folder === starterRunFolder())?.folder;
  if (found === undefined)
    throw new UnknownRunError(
      "",
      known.map(({ name }) => name),
    );
  return found;
}

/** When a run was last worked on; undefined for unfinished runs and the bundled one. */
async function finishedAt(folder: string): Promise<string | undefined> {
  if (dirname(folder) === dirname(starterRunFolder())) return undefined;
  if ((await unlessMissing(stat(join(folder, "probe", "probe.json")))) === undefined) return undefined;
  // A run whose record is damaged is told by `status`; it is not the default.
  const status = await runStatus(folder).catch(() => undefined);
  return status?.state.kind === "done" ? status.record?.updated : undefined;
}
