/** Bundles the pages into dist/webviews/: one script a page, the pages' sheet, and the icons. */
import { copyFile, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));

export async function buildWebviews(outFolder: string): Promise<void> {
  await mkdir(outFolder, { recursive: true });
  await build({
    absWorkingDir: root,
    entryPoints: Object.fromEntries((await pageNames()).map((name) => [name, `webviews/${name}/main.ts`])),
    outdir: outFolder,
    bundle: true,
    minify: true,
    format: "iife",
    platform: "browser",
    target: "es2024",
    // Sheets become text, which components adopt: the pages' policy lets no inline style in.
    loader: { ".css": "text" },
    tsconfig: "webviews/tsconfig.json",
    logLevel: "warning",
    plugins: [englishOnly],
  });
  await copyFile(join(root, "webviews/common/page.css"), join(outFolder, "page.css"));
  for (const file of ["codicon.css", "codicon.ttf"])
    await copyFile(join(root, "node_modules/@vscode/codicons/dist", file), join(outFolder, file));
}

/** Zod's messages in fifty languages would be a third of a page's script, and a quarter of the extension's. */
export const englishOnly: Plugin = {
  name: "english-only",
  setup: ({ onLoad }) => {
    onLoad({ filter: /zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, () => ({
      contents: 'export { default as en } from "./en.js";',
    }));
  },
};

/** Every folder of webviews/ with a main.ts is a page. */
async function pageNames(): Promise<string[]> {
  const folders = await readdir(join(root, "webviews"), { withFileTypes: true });
  return folders.filter((entry) => entry.isDirectory() && entry.name !== "common").map(({ name }) => name);
}
