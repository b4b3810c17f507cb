/** The calibration that lies in a run's folder, and whether it speaks for the run. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomically } from "../../common/atomic-file.ts";
import { parseJson } from "../../common/json.ts";
import { readTextFile } from "../../common/text-file.ts";
import { Calibration } from "../../protocol/calibration.ts";
import { canonicalDigest } from "../../runs/canonical-json.ts";
import { unlessMissing } from "../../runs/files.ts";
import { keyedSections } from "../experiment/older-form.ts";
import type { Experiment } from "../experiment/schema.ts";

/** Where a run keeps its calibration, from its folder. */
export const calibrationPath: readonly string[] = ["calibration", "calibration.json"];

/**
 * What of an experiment decides how well readings of its runs work: models, data, the reward without its edits, tuning, dictionaries, triples and
 * probe. Name, seed and what is only shown or explained stay out.
 */
export function experimentDigest(experiment: Experiment): string {
  const { model, task, data, analysis, reward, learned, divergence, sae, triples, probe } = experiment;
  const { edits: _, ...meant } = reward;
  return canonicalDigest({
    model,
    ...keyedSections(experiment),
    task,
    data,
    analysis,
    reward: meant,
    learned,
    divergence,
    sae,
    triples,
    probe,
  });
}

/** The calibration in a run's folder that speaks for its experiment; undefined where there is none, or one of other settings, or none that can be read. */
export async function readCalibration(runFolder: string, experiment: Experiment): Promise<Calibration | undefined> {
  try {
    const text = await unlessMissing(readTextFile(join(runFolder, ...calibrationPath), "result"));
    const calibration = text === undefined ? undefined : Calibration.parse(parseJson(text));
    return calibration?.experiment === experimentDigest(experiment) ? calibration : undefined;
  } catch {
    return undefined;
  }
}

/** What a calibration's own run found. Throws a file error or `ZodError` where it has not finished. */
export async function readOwnCalibration(folder: string): Promise<Calibration> {
  return Calibration.parse(parseJson(await readTextFile(join(folder, "calibration.json"), "result")));
}

/** Puts a calibration into a run's folder, in the place of an older one. */
export async function saveCalibration(runFolder: string, calibration: Calibration): Promise<void> {
  const path = join(runFolder, ...calibrationPath);
  await mkdir(join(path, ".."), { recursive: true });
  await writeFileAtomically(path, `${JSON.stringify(calibration, undefined, 2)}\n`);
}
