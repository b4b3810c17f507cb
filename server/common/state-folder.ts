import { homedir } from "node:os";
import { join } from "node:path";

/**
 * Where the program keeps what belongs to the machine and not to a run: `LFP_STATE_DIR`, or `lfp-lens` in the place that
 * the system has for such things (https://specifications.freedesktop.org/basedir-spec).
 */
export function stateFolder(env: NodeJS.ProcessEnv = process.env): string {
  const own = env["LFP_STATE_DIR"];
  if (own) return own;
  if (process.platform === "win32") return join(env["LOCALAPPDATA"] ?? join(homedir(), "AppData", "Local"), "lfp-lens");
  if (process.platform === "darwin") return join(homedir(), "Library", "Application Support", "lfp-lens");
  return join(env["XDG_STATE_HOME"] || join(homedir(), ".local", "state"), "lfp-lens");
}
