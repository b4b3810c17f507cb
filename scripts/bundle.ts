/**
 * `npm run bundle`: one archive for a machine of this platform (Linux or macOS) that reaches no registry, such as a GPU box of a cluster: Node, `lfp` with its
 * native parts, the starter, and the tests and benches of docs/gpu.md. Unpacked, `./lfp` is the command, and `./measure-gpu.sh` runs
 * the tests on the machine's GPU and then takes all figures. Needs `tar` and `xz`, and some minutes.
 */
import { execFile } from "node:child_process";
import { chmod, cp, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { z } from "zod";
import { closure, isForTarget, type Target, thisPlatform } from "./dependencies.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Of our own, from which everything runs: sources as they are, and what is built of them. */
const ownPaths = [
  "package.json",
  "vitest.config.ts",
  "LICENSE",
  "THIRD-PARTY.md",
  "README.md",
  "docs",
  "dist",
  "server",
  "kernels",
  "drawing",
  "assets/starter",
  "test/bench",
  "test/conformance",
  "test/fixtures",
  "test/support",
  "test/unit/statistics",
];

/** Beside what `lfp` itself needs. */
const testPackages = ["vitest", "fast-check"];

/** What nothing in the archive loads: it is to be small enough for places that take 64 MiB. */
function isUnused(path: string): boolean {
  return /\.(map|d\.[cm]?ts)$|\/dist\/(types|webviews)$|\/openai\/src$|\/lightningcss(-[^/]+)?$|\/koffi\/(lib|vendor|doc)$|\/musl_x64$/.test(
    path,
  );
}

const launcher = `#!/bin/sh
here=$(dirname "$0")
exec "$here/node_modules/.bin/node" "$here/dist/lfp.js" "$@"
`;

const measure = `#!/bin/sh
# Are all numbers right on this machine's GPU, and how fast is it? Arguments go to the bench (--tiny for a software adapter).
cd "$(dirname "$0")" || exit 1
PATH=$PWD/node_modules/.bin:$PATH
node --run test:gpu
tests=$?
node --run bench:gpu -- "$@" && exit $tests
`;

/** @returns the archive's path */
async function bundleFor(target: Target, outFolder: string): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), "lfp-bundle-"));
  try {
    const name = `lfp-lens-${target}`;
    await stageBundle(join(parent, name), target);
    await mkdir(outFolder, { recursive: true });
    const archive = join(outFolder, `${name}.tar.xz`);
    // Most of it is machine code, which packs better with its jumps made absolute.
    const filter = target.endsWith("x64") ? "--x86 " : "";
    const env = { ...process.env, XZ_OPT: `${filter}--lzma2=preset=9e,dict=128MiB` };
    await promisify(execFile)("tar", ["-C", parent, "-cJf", archive, name], { env });
    return archive;
  } finally {
    await rm(parent, { recursive: true });
  }
}

/** Lays out in a folder what the archive holds. Needs what is built in dist/. */
export async function stageBundle(folder: string, target: Target): Promise<void> {
  for (const path of ownPaths)
    await cp(join(root, path), await place(folder, path), { recursive: true, filter: (from) => !isUnused(from) });
  await stagePackages(folder, target);
  await stageNode(folder);
  await link(folder, "vitest", join(folder, "node_modules/vitest/vitest.mjs"));
  for (const [file, text] of Object.entries({ lfp: launcher, "measure-gpu.sh": measure })) {
    await writeFile(join(folder, file), text);
    await chmod(join(folder, file), 0o755);
  }
}

async function stagePackages(folder: string, target: Target): Promise<void> {
  const text = await readFile(join(root, "package.json"), "utf8");
  const { dependencies } = z.object({ dependencies: z.record(z.string(), z.string()) }).parse(JSON.parse(text));
  // Vite's compiler is an optional dependency for each platform.
  for (const name of await closure([...Object.keys(dependencies), ...testPackages], { optional: true })) {
    const path = join("node_modules", name);
    await cp(join(root, path), join(folder, path), {
      recursive: true,
      filter: (from) => isForTarget(from, target) && !isUnused(from),
    });
  }
}

/** The Node that runs this, where the packages' own programs look for it. */
async function stageNode(folder: string): Promise<void> {
  const node = await place(folder, "node_modules/node/bin/node");
  await cp(process.execPath, node, { dereference: true });
  await link(folder, "node", node);
}

/** Under node_modules/.bin, where `node --run` looks for programs. */
async function link(folder: string, name: string, program: string): Promise<void> {
  const path = await place(folder, join("node_modules/.bin", name));
  await symlink(relative(dirname(path), program), path);
}

async function place(folder: string, path: string): Promise<string> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  return join(folder, path);
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { out: { type: "string", default: join(root, "dist-bundle") } } });
  if (process.platform === "win32")
    throw new Error("The archive's programs are shell scripts: make it on Linux or macOS");
  const path = await bundleFor(thisPlatform(), values.out);
  const { size } = await stat(path);
  console.log(`${path}: ${(size / 2 ** 20).toFixed(1)} MiB`);
}
