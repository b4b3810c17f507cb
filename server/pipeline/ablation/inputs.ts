/** Locates the parts of a run that an ablation needs. */

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { LfpError } from "../../common/errors.ts";
import { stateFolder } from "../../common/state-folder.ts";
import { resolveReference } from "../../models/open.ts";
import { unlessMissing } from "../../runs/files.ts";
import { runPipeline } from "../../runs/run.ts";
import { type RunRecord, readRecord } from "../../runs/run-folder.ts";
import { shortKey } from "../../runs/stage-folder.ts";
import { type Experiment, givenModelOf } from "../experiment/schema.ts";
import { planExperiment } from "../plan-experiment.ts";
import type { AblationPaths } from "./open.ts";
import type { PairAblationPaths } from "./open-pairs.ts";

/** A stage that the ablation needs has not finished. */
export class UnfinishedRunError extends LfpError {
  readonly code = "not-found";

  constructor(folder: string, stage: string) {
    super(`${folder} has no output of stage ${stage} yet: finish it with \`lfp run\``);
  }
}

/** A run came without its texts, and they cannot be recomputed. */
export class TextsChangedError extends LfpError {
  readonly code = "input";
}

/**
 * Paths of the parts of a run. A run without its stages' outputs, such as the bundled one, still has its published
 * model, dictionaries and probe. Its texts and triples are recomputed from the data in the user's state folder, and
 * must equal the run's own. Throws `UnfinishedRunError` and `TextsChangedError`.
 */
export async function ablationPaths(folder: string, experiment: Experiment): Promise<AblationPaths> {
  const record = await readRecord(folder);
  const { output, need } = outputsIn(folder, record);
  const [texts, triples] = [await output("prepare"), await output("triples")];
  const made = texts === undefined || triples === undefined ? await madeAgain(folder, record, experiment) : undefined;
  return {
    ...(await modelPaths(experiment, need)),
    saes: await need("autoencoders", "sae"),
    probe: await need("probe", "probe"),
    texts: texts ?? made?.texts ?? "",
    triples: triples ?? made?.triples ?? "",
  };
}

/** The same for a run on pairs, whose pairs must be there. Throws `UnfinishedRunError`. */
export async function pairAblationPaths(folder: string, experiment: Experiment): Promise<PairAblationPaths> {
  const { need } = outputsIn(folder, await readRecord(folder));
  return {
    ...(await modelPaths(experiment, need)),
    saes: await need("autoencoders", "sae"),
    texts: await need("prepare"),
  };
}

interface Outputs {
  /** Folder of a stage's output, or its published copy; undefined if neither is there any more. */
  output(id: string, published?: string): Promise<string | undefined>;
  /** Throws `UnfinishedRunError` if neither is there. */
  need(id: string, published?: string): Promise<string>;
}

function outputsIn(folder: string, record: RunRecord | undefined): Outputs {
  const output: Outputs["output"] = async (id, published) => {
    const path = record?.stages.find((stage) => stage.id === id)?.output;
    if (path === undefined) throw new UnfinishedRunError(folder, id);
    for (const place of [path, ...(published === undefined ? [] : [published])])
      if ((await unlessMissing(stat(join(folder, place)))) !== undefined) return join(folder, place);
    return undefined;
  };
  const need: Outputs["need"] = async (id, published) => {
    const found = await output(id, published);
    if (found === undefined) throw new UnfinishedRunError(folder, id);
    return found;
  };
  return { output, need };
}

async function modelPaths(
  experiment: Experiment,
  need: Outputs["need"],
): Promise<Pick<AblationPaths, "model" | "tuned">> {
  const local = { download: false } as const;
  const { folder: model } = await resolveReference(experiment.model, local);
  const given = givenModelOf(experiment);
  return {
    model,
    tuned: given === undefined ? await need("tune", "tuned") : (await resolveReference(given, local)).folder,
  };
}

/** Recomputes texts and triples, which takes seconds and no device; later calls reuse them. */
async function madeAgain(
  folder: string,
  record: RunRecord | undefined,
  experiment: Experiment,
): Promise<Pick<AblationPaths, "texts" | "triples">> {
  const before = record?.stages.find(({ id }) => id === "triples");
  if (record === undefined || before?.key === undefined) throw new UnfinishedRunError(folder, "triples");
  const root = join(stateFolder(), "made-again", shortKey(before.key), record.name);
  const stages = await planExperiment(experiment, { run: record.name });
  const { seed, deviceClass } = record;
  const plan = stages.filter(({ id }) => id === "prepare" || id === "triples");
  const outcome = await runPipeline(plan, root, { seed, deviceClass, queued: false });
  if (outcome.kind !== "done")
    throw new TextsChangedError(
      `the texts of ${folder}, which came without them, could not be made again${outcome.kind === "failed" ? `: ${outcome.message}` : ""}`,
    );
  const again = await readRecord(root);
  const same = (id: string): string => {
    const [was, is] = [record, again].map((one) => one?.stages.find((stage) => stage.id === id));
    if (is?.output === undefined || is.digest !== was?.digest)
      throw new TextsChangedError(
        `the texts of ${folder}, which came without them, are not what they were when stage ${id} made them again: the data or the program has ` +
          "changed since. Make the run again with `lfp run`",
      );
    return join(root, is.output);
  };
  return { texts: same("prepare"), triples: same("triples") };
}
