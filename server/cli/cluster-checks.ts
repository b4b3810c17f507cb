/** What `lfp doctor --on` checks of every kind of cluster. */
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { messageOf } from "../common/errors.ts";
import { executorsFile, type PlaceKind, readSettings, type SettingsOf } from "../runs/executor-settings.ts";
import type { CommandResult } from "./command.ts";

/** One thing that was looked at. */
export interface Check {
  readonly what: string;
  readonly ok: boolean;
  /** What was found, or what is wrong and what to do. */
  readonly found: string;
}

/** Runs a look as a check; an error of class `failure` is what is wrong, any other is thrown. */
export async function checkBy(
  what: string,
  failure: abstract new (...args: never) => Error,
  look: () => Promise<string>,
): Promise<Check> {
  try {
    return { what, ok: true, found: await look() };
  } catch (error) {
    if (!(error instanceof failure)) throw error;
    return { what, ok: false, found: error.message };
  }
}

/** Reads the user's settings of a kind of cluster, and adds whether they can be used. */
export async function checkedSettings<K extends PlaceKind>(
  kind: K,
  env: NodeJS.ProcessEnv,
  checks: Check[],
): Promise<SettingsOf<K> | undefined> {
  const path = executorsFile(env);
  try {
    const settings = await readSettings(kind, env);
    const isThere = await stat(path).then(
      () => true,
      () => false,
    );
    const found = isThere ? path : `${path} is not there, so that the cluster's defaults apply`;
    checks.push({ what: "settings", ok: true, found });
    return settings;
  } catch (error) {
    checks.push({ what: "settings", ok: false, found: messageOf(error) });
    return undefined;
  }
}

/** Whether runs can be written to the folder that all machines are to share. */
export async function checkSharedFolder(folder: string): Promise<Check> {
  try {
    await access(folder, constants.W_OK);
    return {
      what: "shared folder",
      ok: true,
      found: `${folder} can be written here; whether the nodes see it only a job shows`,
    };
  } catch (error) {
    return { what: "shared folder", ok: false, found: `${messageOf(error)}: correct \`sharedFolder\`` };
  }
}

/** The command's result. */
export function checksResult(on: PlaceKind, env: NodeJS.ProcessEnv, checks: readonly Check[]): CommandResult {
  const ok = checks.every((one) => one.ok);
  const lines = checks.map(({ what, found, ok: isFine }) => `${what.padEnd(14)}${isFine ? "" : "PROBLEM: "}${found}`);
  const text = [...lines, "", ok ? "Nothing is missing." : "docs/cluster.md says more."].join("\n");
  return {
    json: { name: "doctor", on, ok, settingsFile: executorsFile(env), checks },
    text,
    status: ok ? "ok" : "resource",
  };
}
