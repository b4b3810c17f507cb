/** The project's import graph, as it is loaded (values) and as it is written (types too). */
import { readdir, readFile } from "node:fs/promises";
import { join, posix } from "node:path";
import { buildSync } from "esbuild";

/** One file and what it imports. Paths are relative to the project, with forward slashes. */
export interface SourceFile {
  readonly path: string;
  readonly source: string;
  readonly imports: readonly Import[];
}

export interface Import {
  /** A file of ours, or a package's or builtin's name as it is written. */
  readonly target: string;
  readonly kind: "value" | "type";
}

/** Every TypeScript file under these folders that is no test. Folders that do not exist yet are left out. */
export async function readImportGraph(root: string, folders: readonly string[]): Promise<SourceFile[]> {
  const paths = (await Promise.all(folders.map((folder) => typeScriptFiles(root, folder)))).flat().sort();
  // Sync, so that no process of esbuild's stays behind in the test's.
  const { metafile } = buildSync({
    absWorkingDir: root,
    // One entry that loads them all: as entries of their own, each would be bundled with everything below it.
    stdin: { contents: paths.map((path) => `import "./${path}";`).join("\n"), resolveDir: root },
    bundle: true,
    write: false,
    metafile: true,
    format: "esm",
    platform: "node",
    packages: "external",
    logLevel: "silent",
  });
  return await Promise.all(
    paths.map(async (path) => {
      const source = await readFile(join(root, path), "utf8");
      const values = (metafile.inputs[path]?.imports ?? []).map((found) => ({
        target: found.path,
        kind: "value" as const,
      }));
      return { path, source, imports: [...values, ...typeImports(path, source)] };
    }),
  );
}

/** What `import type` and `export type ... from` name; esbuild drops them. */
export function typeImports(path: string, source: string): Import[] {
  const found = source.matchAll(/^\s*(?:import|export)\s+type\s[^;"']*?from\s+["']([^"']+)["']/gm);
  return [...found].map(([, target = ""]) => ({
    target: target.startsWith(".") ? posix.join(posix.dirname(path), target) : target,
    kind: "type",
  }));
}

async function typeScriptFiles(root: string, folder: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile() && /\.ts$/.test(entry.name) && !/(\.test|\.d)\.ts$/.test(entry.name))
    .map((entry) =>
      posix.join(entry.parentPath.slice(root.length).replaceAll("\\", "/").replace(/^\//, ""), entry.name),
    );
}
