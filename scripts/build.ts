/**
 * Bundles the programs into dist/: `lfp.js` (the command), `server.js` (the language server), `library.js` (the package's entry,
 * its types under `types/`), `cpu-worker.js` (the CPU device's thread), `probe-worker.js` (threads that fit probes),
 * `extension.cjs` and `language-client.cjs` (inside VS Code), and `webviews/NAME.js` (its pages).
 */
import { execFile } from "node:child_process";
import { chmod, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type BuildOptions, build, type Plugin } from "esbuild";
import { oldestNode } from "../server/cli/node-version.ts";
import { buildWebviews, englishOnly } from "./build-webviews.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

export async function buildAll(outFolder = join(root, "dist")): Promise<void> {
  await rm(outFolder, { recursive: true, force: true });
  await Promise.all([buildPrograms(outFolder), buildExtension(outFolder), buildWebviews(join(outFolder, "webviews"))]);
  await chmod(join(outFolder, "lfp.js"), 0o755);
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const project = join(root, "tsconfig.types.json");
  await promisify(execFile)(process.execPath, [compiler, "-p", project, "--outDir", join(outFolder, "types")]);
}

/** Packages that stay packages: native code, and what is large and rarely loaded. */
export const externalPackages = ["onnxruntime-node", "webgpu", "@huggingface/hub", "@huggingface/tokenizers"] as const;

const common = {
  absWorkingDir: root,
  bundle: true,
  sourcemap: true,
  logLevel: "warning",
  plugins: [englishOnly],
} satisfies BuildOptions;

/** What runs in a Node of its own; code that several of them share stands in parts beside them. */
async function buildPrograms(outdir: string): Promise<void> {
  await build({
    ...common,
    entryPoints: {
      lfp: "server/cli.ts",
      server: "server/main.ts",
      library: "server/library.ts",
      // Beside the bundle, under the name by which engine/cpu/device.ts looks for it.
      "cpu-worker": "server/engine/cpu/worker.ts",
      // Likewise, for probe/part-threads.ts.
      "probe-worker": "server/probe/part-worker.ts",
    },
    outdir,
    splitting: true,
    format: "esm",
    platform: "node",
    target: `node${oldestNode}`,
    chunkNames: "part-[hash]",
    // Some packages are CommonJS and call `require` for Node's own modules.
    banner: {
      js: 'import { createRequire as createNodeRequire } from "node:module"; const require = createNodeRequire(import.meta.url);',
    },
    // koffi's own code is bundled, and loads its binary from one of these.
    external: [...externalPackages.flatMap((name) => [name, `${name}/*`]), "@koromix/*"],
  });
}

/**
 * Few files, which VS Code loads faster than many; no native code may be in them. `language-client.cjs` has what only the server's start needs:
 * it is larger than all the rest, which activation waits for.
 */
async function buildExtension(outdir: string): Promise<void> {
  const client = "vscode-languageclient/node";
  const clientApart: Plugin = {
    name: "client-apart",
    setup: ({ onResolve }) =>
      onResolve({ filter: new RegExp(`^${client}$`) }, ({ kind }) =>
        kind === "dynamic-import" ? { path: "./language-client.cjs", external: true } : undefined,
      ),
  };
  await build({
    ...common,
    entryPoints: { extension: "extension/main.ts", "language-client": client },
    outdir,
    outExtension: { ".js": ".cjs" },
    format: "cjs",
    platform: "node",
    target: `node${oldestNode}`,
    // By `require`, which gives the client the editor's own `vscode`.
    supported: { "dynamic-import": false },
    external: ["vscode"],
    plugins: [...common.plugins, clientApart],
    minify: true,
  });
}

if (import.meta.main) await buildAll();
