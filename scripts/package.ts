/**
 * `npm run package [-- --target linux-x64 ...]`: the extension as a VSIX for each platform, in dist-vsix/. It holds the bundles, the starter and its
 * run, and of the native packages only the platform's own binaries. Run it on Linux or macOS: Windows loses the executable bits.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { createVSIX, listFiles, PackageManager } from "@vscode/vsce";
import { z } from "zod";
import { externalPackages } from "./build.ts";
import {
  closure,
  isDeadWeight,
  isForTarget,
  koffiBinary,
  type LockedPackage,
  type Target,
  targets,
  thisPlatform,
} from "./dependencies.ts";

/** A VSIX may not be larger. */
const MOST_BYTES = 50e6;

const root = fileURLToPath(new URL("..", import.meta.url));

/** Makes the VSIX of a platform from what is built in dist/. @returns its path */
export async function packageFor(target: Target, outFolder: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "lfp-vsix-"));
  try {
    await stageOwnFiles(folder);
    // The extension's page in VS Code, which shows pictures from https addresses only: it has none.
    await cp(join(root, "extension/README.md"), join(folder, "README.md"));
    await stageDependencies(folder, target);
    const { name, version } = await stageManifest(folder);
    // Everything that was staged goes in.
    await writeFile(join(folder, ".vscodeignore"), "");
    await mkdir(outFolder, { recursive: true });
    const packagePath = join(outFolder, `${name}-${target}-${version}.vsix`);
    await createVSIX({
      cwd: folder,
      packagePath,
      target,
      // They stand in dist/node_modules, chosen by us.
      dependencies: false,
      allowMissingRepository: true,
      rewriteRelativeLinks: false,
    });
    const { size } = await stat(packagePath);
    if (size > MOST_BYTES) throw new Error(`${packagePath} has ${size} bytes, more than ${MOST_BYTES}`);
    return packagePath;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** What .vscodeignore lets through. */
async function stageOwnFiles(folder: string): Promise<void> {
  for (const path of await listFiles({ cwd: root, packageManager: PackageManager.None }))
    await copy(path, folder, path);
}

/** The packages that the bundles load at run time, beside the bundles. */
async function stageDependencies(folder: string, target: Target): Promise<void> {
  const isKept = (path: string): boolean => isForTarget(path, target) && !isDeadWeight(path);
  const stage = (name: string, from: string): Promise<void> =>
    cp(join(from, name), join(folder, "dist/node_modules", name), {
      recursive: true,
      filter: (path) => isKept(path.slice(from.length).replaceAll("\\", "/")),
    });
  const installed = join(root, "node_modules");
  for (const name of await closure(externalPackages)) await stage(name, installed);
  const { name, version, integrity } = await koffiBinary(target);
  if (existsSync(join(installed, name))) return await stage(name, installed);
  const fetched = await mkdtemp(join(tmpdir(), "lfp-package-"));
  try {
    await fetchPackage({ name, version, integrity }, fetched);
    await stage(name, fetched);
  } finally {
    await rm(fetched, { recursive: true });
  }
}

/** Downloads a package, which npm does not install on this platform, and unpacks it as folder/NAME. Throws if it is not the one of package-lock.json. */
async function fetchPackage({ name, version, integrity }: LockedPackage, folder: string): Promise<void> {
  const run = promisify(execFile);
  const { stdout } = await run("npm", ["pack", `${name}@${version}`, "--json", "--pack-destination", folder]);
  const [packed] = z.tuple([z.object({ filename: z.string(), integrity: z.string() })]).parse(JSON.parse(stdout));
  if (packed.integrity !== integrity)
    throw new Error(`npm gave ${name}@${version} as ${packed.integrity}; package-lock.json has ${integrity}`);
  const at = join(folder, name);
  await mkdir(at, { recursive: true });
  await run("tar", ["-xzf", join(folder, packed.filename), "-C", at, "--strip-components", "1"]);
}

/** The manifest without what only development needs. */
async function stageManifest(folder: string): Promise<{ readonly name: string; readonly version: string }> {
  const text = await readFile(join(root, "package.json"), "utf8");
  const {
    scripts,
    dependencies,
    devDependencies,
    allowScripts,
    exports,
    bin,
    private: _,
    ...manifest
  } = z.looseObject({ name: z.string(), version: z.string() }).parse(JSON.parse(text));
  await writeFile(join(folder, "package.json"), JSON.stringify(manifest, undefined, 2));
  return manifest;
}

async function copy(from: string, folder: string, to: string): Promise<void> {
  await mkdir(dirname(join(folder, to)), { recursive: true });
  await cp(join(root, from), join(folder, to));
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { target: { type: "string", multiple: true } } });
  const chosen = z.array(z.enum(targets)).parse(values.target ?? [thisPlatform()]);
  for (const target of chosen) {
    const path = await packageFor(target, join(root, "dist-vsix"));
    const { size } = await stat(path);
    console.log(`${path}: ${(size / 2 ** 20).toFixed(1)} MiB`);
  }
}
