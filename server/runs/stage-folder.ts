/**
 * Names of the folders of a run's stages: `<stage>-<first digits of the key>`, with the suffix `.work` until the stage
 * has finished.
 */
import { join } from "node:path";

const KEY_DIGITS = 16;

/** Suffix of the folder of an unfinished stage. */
export const WORK_SUFFIX = ".work";

/** Suffix of the folder of the lock of a stage that several runs share. */
export const LOCK_SUFFIX = ".lock";

/** The abbreviated key that folders, tables and messages show. */
export function shortKey(key: string): string {
  return key.slice(0, KEY_DIGITS);
}

export function stageFolderName(stage: string, key: string): string {
  return `${stage}-${shortKey(key)}`;
}

/** The output folder of an unfinished stage, inside its working folder. */
export function outputUnderWay(work: string): string {
  return join(work, "output");
}

/** The abbreviated key in the path of a stage's output, finished or unfinished; empty for any other path. */
export function keyInPath(output: string): string {
  return /-([0-9a-f]{16})(?:\.work[\\/]output)?$/.exec(output)?.[1] ?? "";
}
