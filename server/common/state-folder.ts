import { homedir } from "node:os";
import { join } from "node:path";

/**
 * The folder for the program's data about the machine rather than a run: `LFP_STATE_DIR`, or `lfp-lens` in the system's
 * place for state (https://specifications.freedesktop.org/basedir-spec).
 */
export function stateFolder(env: NodeJS.ProcessEnv = process.env): string {
  const own = env["LFP_STATE_DIR"];
  if (own) return own;
  if (process.platform === "win32") return join(env["LOCALAPPDATA"] ?? join(homedir(), "AppData", "Local"), "lfp-lens");
  if (process.platform === "darwin") return join(homedir(), "Library", "Application Support", "lfp-lens");
  return join(env["XDG_STATE_HOME"] || join(homedir(), ".local", "state"), "lfp-lens");
}
