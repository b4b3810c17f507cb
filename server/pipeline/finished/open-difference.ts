/** Opens two runs to read texts by the difference of their learned rewards. */
import { basename, join, resolve } from "node:path";
import { LfpError } from "../../common/errors.ts";
import { exists } from "../../common/exists.ts";
import { DifferenceLens } from "../../lens/difference-lens.ts";
import type { PairLens } from "../../lens/pair-lens.ts";
import { loadTokenizers } from "../../models/tokenizer.ts";
import { runPaths } from "../../runs/run-folder.ts";
import { loadExperiment } from "../experiment/resolve.ts";
import type { Experiment } from "../experiment/schema.ts";
import { tokenizerFolderOf, tunedFolderOf } from "./model-folders.ts";
import { type OpenPairLensOptions, openPairLens } from "./open-pair.ts";

/** Two runs whose learned rewards cannot be compared, and why. */
export class DifferenceError extends LfpError {
  readonly code = "input";
}

export interface RunPair {
  readonly a: string;
  readonly b: string;
}

interface Side {
  readonly folder: string;
  readonly name: string;
  readonly experiment: Experiment;
  readonly tuned: string;
}

/**
 * Opens both runs' tuned and base models. Throws `DifferenceError` for one run twice and for a run without a tuned model,
 * and what `openPairLens` throws.
 */
export async function openDifference(
  runs: RunPair,
  options: Omit<OpenPairLensOptions, "bos" | "resolve"> = {},
): Promise<DifferenceLens> {
  const [a, b] = [resolve(runs.a), resolve(runs.b)];
  if (a === b) throw new DifferenceError(`${a} is compared with itself; give two runs`);
  const [one, other] = [await sideOf(a), await sideOf(b)];
  const { difference } = await loadTokenizers(
    await tokenizerFolderOf(one.tuned, one.experiment),
    await tokenizerFolderOf(other.tuned, other.experiment),
  );
  const first = await openSide(one, options);
  const second = await openSide(other, options).catch(async (error: unknown) => {
    await first.close();
    throw error;
  });
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
  if (!(await exists(join(tuned, "config.json"))))
    throw new DifferenceError(
      `${folder} has no tuned model yet, so there is no learned reward: finish the run with \`lfp run\``,
    );
  return { folder, name: basename(folder), experiment, tuned };
}

function openSide({ experiment, tuned }: Side, options: OpenPairLensOptions): Promise<PairLens> {
  return openPairLens({ tuned, base: experiment.model }, { ...options, bos: experiment.text.prependBos });
}

/** A folder's name, with its parent's if the other is called the same. */
function nameBeside(folder: string, other: string): string {
  const name = basename(folder);
  return name === basename(other) ? `${basename(join(folder, ".."))}/${name}` : name;
}
