/** The calibration in a run's folder, and whether it applies to the run. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomically } from "../../common/atomic-file.ts";
import { parseJson } from "../../common/json.ts";
import { readTextFile } from "../../common/text-file.ts";
import { Calibration } from "../../protocol/calibration.ts";
import { judgedTextOf } from "../../rewards/reward-configs.ts";
import { canonicalDigest } from "../../runs/canonical-json.ts";
import { unlessMissing } from "../../runs/files.ts";
import { keyedDictionaries } from "../experiment/dictionaries-schema.ts";
import { rewardSettingsOf } from "../experiment/feedback-settings.ts";
import { keyedSections } from "../experiment/older-form.ts";
import type { Experiment } from "../experiment/schema.ts";

/** Path of a run's calibration, relative to its folder. */
export const calibrationPath: readonly string[] = ["calibration", "calibration.json"];

/**
 * Digest of the settings that decide how well readings of an experiment's runs work: models, data, the reward without
 * its edits, tuning, dictionaries, triples and probe. Excludes name, seed and what is only shown or explained.
 */
export function experimentDigest(experiment: Experiment): string {
  const { model, task, data, analysis, reward, learned, divergence, sae, triples, probe } = experiment;
  return canonicalDigest({
    model,
    ...keyedSections(experiment),
    task,
    data,
    analysis,
    reward: { ...rewardSettingsOf(experiment), text: judgedTextOf(reward) },
    learned,
    divergence,
    sae: keyedDictionaries(sae),
    triples,
    probe,
  });
}

/**
 * The calibration in a run's folder; undefined if it is missing, unreadable or made with other settings than the
 * experiment's.
 */
export async function readCalibration(runFolder: string, experiment: Experiment): Promise<Calibration | undefined> {
  try {
    const text = await unlessMissing(readTextFile(join(runFolder, ...calibrationPath), "result"));
    const calibration = text === undefined ? undefined : Calibration.parse(parseJson(text));
    return calibration?.experiment === experimentDigest(experiment) ? calibration : undefined;
  } catch {
    return undefined;
  }
}

/** The result in a calibration's own run folder. Throws a file error or `ZodError` when that run has not finished. */
export async function readOwnCalibration(folder: string): Promise<Calibration> {
  return Calibration.parse(parseJson(await readTextFile(join(folder, "calibration.json"), "result")));
}

/** Writes a calibration to a run's folder, replacing an older one. */
export async function saveCalibration(runFolder: string, calibration: Calibration): Promise<void> {
  const path = join(runFolder, ...calibrationPath);
  await mkdir(join(path, ".."), { recursive: true });
  await writeFileAtomically(path, `${JSON.stringify(calibration, undefined, 2)}\n`);
}
