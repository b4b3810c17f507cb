/** How the folders of a run's stages are called: `<stage>-<first digits of the key>`, with `.work` behind it while the stage is under way. */
import { join } from "node:path";

const KEY_DIGITS = 16;

/** Ends the name of a folder in which a stage is under way. */
export const WORK_SUFFIX = ".work";

/** The digits of a key that stand in folders, tables and messages. */
export function shortKey(key: string): string {
  return key.slice(0, KEY_DIGITS);
}

export function stageFolderName(stage: string, key: string): string {
  return `${stage}-${shortKey(key)}`;
}

/** Where a stage under way writes its output. */
export function outputUnderWay(work: string): string {
  return join(work, "output");
}

/** The first digits of a stage's key, from its output's folder, finished or under way; empty for any other path. */
export function keyInPath(output: string): string {
  return /-([0-9a-f]{16})(?:\.work[\\/]output)?$/.exec(output)?.[1] ?? "";
}
