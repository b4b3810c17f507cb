/**
 * Bundles the programs into dist/: `lfp.js` (the command), `library.js` (the package's entry, its types under `types/`) and
 * `cpu-worker.js` (the CPU device's thread).
 */
import { execFile } from "node:child_process";
import { chmod, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { oldestNode } from "../server/cli/node-version.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

export async function buildAll(outFolder = join(root, "dist")): Promise<void> {
  await rm(outFolder, { recursive: true, force: true });
  await build({
    absWorkingDir: root,
    entryPoints: {
      lfp: "server/cli.ts",
      library: "server/library.ts",
      // Beside the bundle, under the name by which engine/cpu/device.ts looks for it.
      "cpu-worker": "server/engine/cpu/worker.ts",
    },
    outdir: outFolder,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: `node${oldestNode}`,
    sourcemap: true,
    chunkNames: "part-[hash]",
    external: ["onnxruntime-node", "@huggingface/*"],
    logLevel: "warning",
  });
  await chmod(join(outFolder, "lfp.js"), 0o755);
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const project = join(root, "tsconfig.types.json");
  await promisify(execFile)(process.execPath, [compiler, "-p", project, "--outDir", join(outFolder, "types")]);
}

if (import.meta.main) await buildAll();
