import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { InternalError } from "./errors.ts";

/** The folder of our package.json, for a source file and for the bundle. */
export function packageRoot(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, "package.json"))) return folder;
    if (dirname(folder) === folder) throw new InternalError(`no package.json above ${import.meta.url}`);
  }
}

/** The version in our package.json. */
export function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8"));
  if (typeof manifest === "object" && manifest !== null && "version" in manifest) return String(manifest.version);
  throw new InternalError(`${packageRoot()}/package.json has no version`);
}

/** Folder of the starter model and its texts. */
export function starterFolder(): string {
  return join(packageRoot(), "assets", "starter");
}

/** Folder of the bundled finished run of the starter model. */
export function starterRunFolder(): string {
  return join(packageRoot(), "assets", "starter-run");
}
