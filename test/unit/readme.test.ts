import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { commands } from "../../server/cli/commands.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
let readme: string;
let scratch: string;
beforeAll(async () => {
  readme = await readFile(join(root, "README.md"), "utf8");
  scratch = await mkdtemp(join(tmpdir(), "lfp-readme-"));
});
afterAll(() => rm(scratch, { recursive: true }));

describe("the README", () => {
  it("has a library example that runs, and prints what the README says", async () => {
    const [, example = ""] = /```js\n([\s\S]*?)```/.exec(readme) ?? [];
    const [, printed = ""] = /`npx node example\.js` prints\n\n```\n([\s\S]*?)```/.exec(readme) ?? [];
    expect(example).toContain('from "lfp-lens"');
    // The sources, so that no stale bundle is tested; package.json's exports point to the bundle of the same file.
    const entry = pathToFileURL(join(root, "server/library.ts")).href;
    const file = join(scratch, "example.mjs");
    await writeFile(file, example.replace('"lfp-lens"', JSON.stringify(entry)));
    const { stdout } = await promisify(execFile)(process.execPath, [file], { cwd: scratch });
    expect(shapeOf(stdout)).toEqual(shapeOf(printed));
    expect(lossesOf(stdout).map((loss) => loss.toFixed(1))).toEqual(lossesOf(printed).map((loss) => loss.toFixed(1)));
    expect((await stat(join(scratch, "tuned/model.safetensors"))).size).toBeGreaterThan(4e6);
  });

  it("names commands and files that exist", async () => {
    const named = [...readme.matchAll(/npx lfp ([a-z]+(?: [a-z]+)?)/g)].map(([, words = ""]) => words);
    expect(named.length).toBeGreaterThan(2);
    for (const words of named) {
      const known = Object.hasOwn(commands, words) || Object.hasOwn(commands, words.split(" ")[0] ?? "");
      expect(known, `lfp ${words}`).toBe(true);
    }
    for (const page of ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"]) {
      const text = await readFile(join(root, page), "utf8");
      for (const [, link = ""] of text.matchAll(/\]\((?!https?:)([^)#]+)/g))
        await expect(stat(join(root, link)), `${page} links to ${link}`).resolves.toBeDefined();
    }
  });
});

describe("the documents", () => {
  it("link to pages that exist, at headings that they have", async () => {
    const docs = (await readdir(join(root, "docs")))
      .filter((name) => name.endsWith(".md"))
      .map((name) => `docs/${name}`);
    let anchors = 0;
    for (const page of ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", ...docs]) {
      const text = await readFile(join(root, page), "utf8");
      for (const [, link = "", anchor] of text.matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)) {
        const target = link === "" ? join(root, page) : join(root, page, "..", link);
        await expect(stat(target), `${page} links to ${link}`).resolves.toBeDefined();
        if (anchor === undefined) continue;
        anchors += 1;
        expect(anchorsOf(await readFile(target, "utf8")), `${page} links to ${link}#${anchor}`).toContain(anchor);
      }
    }
    expect(anchors).toBeGreaterThan(2);
  });
});

/** As GitHub makes them of headings. */
function anchorsOf(page: string): string[] {
  return [...page.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\- _]/gu, "")
      .replaceAll(" ", "-"),
  );
}

/** The output without what another processor may round to something else. */
function shapeOf(output: string): string[] {
  const [first = "", ...rest] = output.trimEnd().split("\n");
  return [first.length > 0 ? "some text" : "", ...rest.map((line) => line.replace(/loss .*/, "loss"))];
}

function lossesOf(output: string): number[] {
  return [...output.matchAll(/loss ([\d.]+)/g)].map(([, loss]) => Number(loss));
}
