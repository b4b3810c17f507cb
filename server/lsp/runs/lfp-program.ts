import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { packageRoot } from "../../common/package-root.ts";

/** Command of `lfp`: from the bundle or from source, like this server. */
export function lfpProgram(): [string, ...string[]] {
  const isSource = fileURLToPath(import.meta.url).endsWith(".ts");
  return [process.execPath, join(packageRoot(), isSource ? "server/cli.ts" : "dist/lfp.js")];
}
