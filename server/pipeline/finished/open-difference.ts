/** Opens two runs to read texts by the difference of their learned rewards. */
import { realpath } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { LfpError } from "../../common/errors.ts";
import { exists } from "../../common/exists.ts";
import { DifferenceLens } from "../../lens/difference-lens.ts";
import type { PairLens } from "../../lens/pair-lens.ts";
import { isAdapterFolder } from "../../models/adapter.ts";
import { resolveReference } from "../../models/open.ts";
import { loadTokenizers } from "../../models/tokenizer.ts";
import { runPaths } from "../../runs/run-folder.ts";
import { loadExperiment } from "../experiment/resolve.ts";
import type { Experiment } from "../experiment/schema.ts";
import { tokenizerFolderOf, tunedFolderOf } from "./model-folders.ts";
import { type OpenPairLensOptions, openPairLens } from "./open-pair.ts";
import { openPairsOfBase, type TunedSide } from "./open-pairs-of-base.ts";

/** Two runs whose learned rewards cannot be compared, and why. */
export class DifferenceError extends LfpError {
  readonly code = "input";
}

export interface RunPair {
  readonly a: string;
  readonly b: string;
}

type DifferenceOptions = Omit<OpenPairLensOptions, "bos" | "resolve" | "dictionary">;

interface Side {
  readonly folder: string;
  readonly name: string;
  readonly experiment: Experiment;
  readonly tuned: string;
}

/**
 * Opens both runs' tuned and base models; a base model that both have is in memory once. Throws `DifferenceError` for
 * one run twice and for a run without a tuned model, and what `openPairLens` throws.
 */
export async function openDifference(runs: RunPair, options: DifferenceOptions = {}): Promise<DifferenceLens> {
  const [a, b] = [resolve(runs.a), resolve(runs.b)];
  if (a === b) throw new DifferenceError(`${a} is compared with itself; give two runs`);
  const [one, other] = [await sideOf(a), await sideOf(b)];
  const { difference } = await loadTokenizers(
    await tokenizerFolderOf(one.tuned, one.experiment),
    await tokenizerFolderOf(other.tuned, other.experiment),
  );
  const [first, second] = await openSides(one, other, options);
  return new DifferenceLens(first, second, {
    ...first.info,
    tuned: a,
    base: b,
    bos: first.info.bos && second.info.bos,
    difference: {
      a: { folder: a, name: nameBeside(a, b) },
      b: { folder: b, name: nameBeside(b, a) },
      sharesTokens: difference === undefined,
    },
  });
}

async function sideOf(folder: string): Promise<Side> {
  const experiment = await loadExperiment(runPaths(folder).experiment);
  const tuned = await tunedFolderOf(folder, experiment);
  if (!(await exists(join(tuned, "config.json"))) && !(await isAdapterFolder(tuned)))
    throw new DifferenceError(
      `${folder} has no tuned model yet, so there is no learned reward: finish the run with \`lfp run\``,
    );
  return { folder, name: basename(folder), experiment, tuned };
}

/** Opens the sides on one device if they have one base model, else on a device each. */
async function openSides(a: Side, b: Side, options: DifferenceOptions): Promise<readonly [PairLens, PairLens]> {
  const base = a.experiment.model;
  const sides = [tunedSideOf(a), tunedSideOf(b)] as const;
  if ((await folderOf(base)) === (await folderOf(b.experiment.model)))
    return await openPairsOfBase(base, sides, options);
  const first = await openPairLens({ tuned: a.tuned, base }, { ...options, bos: sides[0].bos });
  const second = openPairLens({ tuned: b.tuned, base: b.experiment.model }, { ...options, bos: sides[1].bos });
  return [
    first,
    await second.catch(async (error: unknown) => {
      await first.close();
      throw error;
    }),
  ];
}

function tunedSideOf({ tuned, experiment }: Side): TunedSide {
  return { tuned, bos: experiment.text.prependBos };
}

/** The folder of a model, by its real path: the same files have one. */
async function folderOf(model: string): Promise<string> {
  return await realpath((await resolveReference(model, { download: false })).folder);
}

/** A folder's name, with its parent's if the other is called the same. */
function nameBeside(folder: string, other: string): string {
  const name = basename(folder);
  return name === basename(other) ? `${basename(join(folder, ".."))}/${name}` : name;
}
