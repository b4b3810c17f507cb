/** Which installed packages, and which of their files, go into what we hand out. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";

/** Platforms of VS Code for which ONNX Runtime has binaries. */
export const targets = ["linux-x64", "linux-arm64", "darwin-arm64", "win32-x64", "win32-arm64"] as const;
export type Target = (typeof targets)[number];

const root = fileURLToPath(new URL("..", import.meta.url));

const Manifest = z.object({
  dependencies: z.record(z.string(), z.string()).default({}),
  optionalDependencies: z.record(z.string(), z.string()).default({}),
});

/** Names of packages and of all that they need, but for what only an install script uses; `optional`: what they can use and that is installed, too. */
export async function closure(names: readonly string[], { optional = false } = {}): Promise<string[]> {
  const found = new Set<string>();
  const visit = async (name: string): Promise<void> => {
    if (found.has(name) || neededAtInstall.has(name)) return;
    found.add(name);
    const text = await readFile(join(root, "node_modules", name, "package.json"), "utf8");
    const { dependencies, optionalDependencies } = Manifest.parse(JSON.parse(text));
    for (const dependency of Object.keys(dependencies)) await visit(dependency);
    for (const dependency of optional ? Object.keys(optionalDependencies) : [])
      if (existsSync(join(root, "node_modules", dependency))) await visit(dependency);
  };
  for (const name of names) await visit(name);
  return [...found].sort((one, other) => one.localeCompare(other));
}

/** Of onnxruntime-node's download of CUDA files, which we never want; and types. */
const neededAtInstall: ReadonlySet<string> = new Set(["adm-zip", "global-agent", "@webgpu/types"]);

/** A package as package-lock.json has it. */
export interface LockedPackage {
  readonly name: string;
  readonly version: string;
  readonly integrity: string;
}

const Lock = z.object({
  packages: z.record(z.string(), z.looseObject({ version: z.string().optional(), integrity: z.string().optional() })),
});

/** The package with koffi's binary for a platform; npm installs only this machine's. */
export async function koffiBinary(target: Target): Promise<LockedPackage> {
  const name = `@koromix/koffi-${target}`;
  const { packages } = Lock.parse(JSON.parse(await readFile(join(root, "package-lock.json"), "utf8")));
  const { version, integrity } = packages[`node_modules/${name}`] ?? {};
  if (version === undefined || integrity === undefined)
    throw new Error(`package-lock.json lacks ${name}: make it anew with all platforms in it`);
  return { name, version, integrity };
}

/** False for binaries of other platforms. */
export function isForTarget(path: string, target: Target): boolean {
  const [system = "", processor = ""] = target.split("-");
  const onnx = /onnxruntime-node\/bin\/napi-v\d+\/([^/]+)(?:\/([^/]+))?/.exec(path);
  if (onnx !== null) return onnx[1] === system && (onnx[2] === undefined || onnx[2] === processor);
  const koffi = /@koromix\/koffi-([^/]+)/.exec(path);
  if (koffi !== null) return koffi[1] === target;
  const dawn = /webgpu\/dist\/([^/]+)/.exec(path);
  return dawn === null || dawn[1] === target || (system === "darwin" && dawn[1] === "darwin-universal");
}

/**
 * What no program loads: sources, types, maps, build scripts, the second copy of ONNX Runtime that its macOS package holds, koffi's binaries for
 * musl, on which ONNX Runtime does not run, and on Windows what only its GPU providers load when they are asked for, which we never do: onnxruntime.dll loads DirectML late and the compilers by name.
 */
export function isDeadWeight(path: string): boolean {
  return (
    /\.(map|ts|mts|cts|md|h|lib|exp|gypi?)$/i.test(path) ||
    /node_modules\/(@[^/]+\/)?[^/]+\/(src|build|script|test|tests|__tests__)(\/|$)/.test(path) ||
    /@huggingface\/hub\/dist\/(browser|cli)/.test(path) ||
    // The bundles are ES modules, and so is what they import of these.
    /@huggingface\/(hub\/dist\/[^/]+\.js|tasks\/dist\/commonjs\/.+|tokenizers\/dist\/.+\.cjs)$/.test(path) ||
    /onnxruntime-node\/.*\/(DirectML|dxcompiler|dxil)\.dll$/.test(path) ||
    /@koromix\/koffi-[^/]+\/musl_/.test(path) ||
    /libonnxruntime\.\d+\.\d+\.\d+\.dylib$/.test(path)
  );
}

/** Throws where there is no package for it. */
export function thisPlatform(): Target {
  const name = `${process.platform}-${process.arch}`;
  const found = targets.find((target) => target === name);
  if (found === undefined) throw new Error(`There is no package for ${name}; --target takes ${targets.join(", ")}`);
  return found;
}
