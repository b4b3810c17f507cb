/**
 * `npm run package [-- --target linux-x64 ...]`: the extension as a VSIX for each platform, in dist-vsix/. It holds the bundles, the starter and its
 * run, and of the native packages only the platform's own binaries. Run it on Linux or macOS: Windows loses the executable bits.
 */
import { cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createVSIX, listFiles, PackageManager } from "@vscode/vsce";
import { z } from "zod";
import { externalPackages } from "./build.ts";

/** VS Code's platforms for which ONNX Runtime has binaries. */
export const targets = ["linux-x64", "linux-arm64", "darwin-arm64", "win32-x64", "win32-arm64"] as const;
export type Target = (typeof targets)[number];

/** A VSIX may not be larger. */
const MOST_BYTES = 50e6;

const root = fileURLToPath(new URL("..", import.meta.url));

/** Makes the VSIX of a platform from what is built in dist/. @returns its path */
export async function packageFor(target: Target, outFolder: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "lfp-vsix-"));
  try {
    await stageOwnFiles(folder);
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
  for (const name of await closure(externalPackages))
    await cp(join(root, "node_modules", name), join(folder, "dist/node_modules", name), {
      recursive: true,
      filter: (path) => isKept(path.slice(root.length).replaceAll("\\", "/")),
    });
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

/** Packages and all that they need, but for what only an install script uses. */
async function closure(names: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  const visit = async (name: string): Promise<void> => {
    if (found.has(name) || neededAtInstall.has(name)) return;
    found.add(name);
    const text = await readFile(join(root, "node_modules", name, "package.json"), "utf8");
    const { dependencies } = z
      .object({ dependencies: z.record(z.string(), z.string()).default({}) })
      .parse(JSON.parse(text));
    for (const dependency of Object.keys(dependencies)) await visit(dependency);
  };
  for (const name of names) await visit(name);
  return [...found].sort((one, other) => one.localeCompare(other));
}

/** Of onnxruntime-node's download of CUDA files, which we never want; and types. */
const neededAtInstall: ReadonlySet<string> = new Set(["adm-zip", "global-agent", "@webgpu/types"]);

/** False for binaries of other platforms. */
export function isForTarget(path: string, target: Target): boolean {
  const [system = "", processor = ""] = target.split("-");
  const onnx = /onnxruntime-node\/bin\/napi-v\d+\/([^/]+)(?:\/([^/]+))?/.exec(path);
  if (onnx !== null) return onnx[1] === system && (onnx[2] === undefined || onnx[2] === processor);
  const dawn = /webgpu\/dist\/([^/]+)/.exec(path);
  return dawn === null || dawn[1] === target || (system === "darwin" && dawn[1] === "darwin-universal");
}

/**
 * What no program loads: sources, types, maps, build scripts, the second copy of ONNX Runtime that its macOS package holds, and on Windows what
 * only its GPU providers load when they are asked for, which we never do: onnxruntime.dll loads DirectML late and the compilers by name.
 */
export function isDeadWeight(path: string): boolean {
  return (
    /\.(map|ts|mts|cts|md|h|gypi?)$/i.test(path) ||
    /node_modules\/(@[^/]+\/)?[^/]+\/(src|build|script|test|tests|__tests__)(\/|$)/.test(path) ||
    /@huggingface\/hub\/dist\/(browser|cli)/.test(path) ||
    // The bundles are ES modules, and so is what they import of these.
    /@huggingface\/(hub\/dist\/[^/]+\.js|tasks\/dist\/commonjs\/.+|tokenizers\/dist\/.+\.cjs)$/.test(path) ||
    /onnxruntime-node\/.*\/(DirectML|dxcompiler|dxil)\.dll$/.test(path) ||
    /libonnxruntime\.\d+\.\d+\.\d+\.dylib$/.test(path)
  );
}

async function copy(from: string, folder: string, to: string): Promise<void> {
  await mkdir(dirname(join(folder, to)), { recursive: true });
  await cp(join(root, from), join(folder, to));
}

function thisPlatform(): Target {
  const name = `${process.platform}-${process.arch}`;
  const found = targets.find((target) => target === name);
  if (found === undefined) throw new Error(`There is no package for ${name}; --target takes ${targets.join(", ")}`);
  return found;
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
