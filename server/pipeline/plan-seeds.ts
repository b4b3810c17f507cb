/** Plans the run that reports over finished runs of one experiment with several seeds. */
import { basename, join } from "node:path";
import { unlessMissing } from "../runs/files.ts";
import { readRecord } from "../runs/run-folder.ts";
import { type OutsideInput, type PlannedStage, planStage } from "../runs/stage.ts";
import { outsideInput } from "../runs/stage-key.ts";
import { headlinePaths } from "./artifacts/headlines.ts";
import { type SeedsSettings, seedsStage } from "./stages/seeds.ts";

/** How a seed's run ended. */
export interface EndedSeed {
  readonly seed: number;
  readonly folder: string;
  /** Why it did not finish; null if it did. */
  readonly failure: string | null;
}

/**
 * The single stage of the run `run` over these seeds. Throws `RunFileError` when a finished run's record cannot be
 * read.
 */
export async function planSeeds(run: string, ended: readonly EndedSeed[]): Promise<PlannedStage> {
  const inputs: Record<string, OutsideInput> = {};
  const files: SeedsSettings["files"][number][] = [];
  for (const { seed, folder, failure } of ended) {
    if (failure !== null) continue;
    const record = await readRecord(folder);
    const outputs = new Map(record?.stages.map(({ id, output }) => [id, output]));
    const outputOf = (stage: string): string | undefined => {
      const output = outputs.get(stage);
      return output === undefined ? undefined : join(folder, output);
    };
    for (const { stage, path } of headlinePaths(outputOf)) {
      const found = await unlessMissing(outsideInput(path));
      if (found === undefined) continue;
      const input = `seed${seed}-${stage}`;
      inputs[input] = found;
      files.push({ seed, stage, input });
    }
  }
  const runs = ended.map(({ seed, folder, failure }) => ({ seed, run: basename(folder), failure }));
  return planStage({ id: "seeds", stage: seedsStage, settings: { run, runs, files }, inputs, publishAs: "." });
}
