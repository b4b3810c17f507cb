import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { listFiles, PackageManager } from "@vscode/vsce";
import { describe, expect, it } from "vitest";
import { isDeadWeight, isForTarget, koffiBinary, targets, thisPlatform } from "../../../scripts/dependencies.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));

describe("the extension's package", () => {
  it("holds no source, no test, no map and nothing of the repository's own", async () => {
    const files = await listFiles({ cwd: root, packageManager: PackageManager.None });
    expect(files).toContain("package.json");
    expect(files).toContain("media/icon.png");
    expect(files.some((path) => path.startsWith("assets/starter-run/"))).toBe(true);
    expect(
      files.filter((path) => /\.(ts|map)$|^(server|extension|webviews|test|scripts|\.|node_modules)/.test(path)),
    ).toEqual([]);
  });

  it("holds every file that package.json points to", async () => {
    const files = await listFiles({ cwd: root, packageManager: PackageManager.None });
    const manifest = await readFile(join(root, "package.json"), "utf8");
    const pointed = [...manifest.matchAll(/"(?:\.\/)?((?:media|schemas|docs)\/[^"]+)"/g)].map(([, path = ""]) => path);
    expect(pointed).toContain("media/walkthrough/read.svg");
    expect(pointed.filter((path) => !files.includes(path))).toEqual([]);
  });

  it("shows in VS Code a page for who installed it: without pictures and links that VS Code cannot follow, of commands that there are", async () => {
    const words = await readFile(join(root, "extension/README.md"), "utf8");
    const targets = [...words.matchAll(/\]\(([^)]+)/g)].map(([, target = ""]) => target);
    expect(targets.filter((target) => !target.startsWith("https:"))).toEqual([]);
    expect(words).not.toMatch(/npm (ci|run)|npx/);
    const manifest = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
    const titles: string[] = manifest.contributes.commands.map(({ title }: { title: string }) =>
      title.replace(/ \(.*|…$/g, ""),
    );
    const named = [...words.matchAll(/\*\*LFP Lens: ([^*]+)\*\*/g)].map(([, title = ""]) => title);
    expect(named.length).toBeGreaterThan(2);
    expect(named.filter((title) => !titles.includes(title))).toEqual([]);
  });

  it.each(targets)("has for %s each native package's binaries of that platform alone", async (target) => {
    const binaries = [...(await nativeFiles("onnxruntime-node")), ...(await nativeFiles("webgpu"))];
    const kept = binaries.filter((path) => isForTarget(path, target) && !isDeadWeight(path));
    const [system = "", processor = ""] = target.split("-");
    const place = new RegExp(`(/${system}/${processor}/|/${target}/|/${system}-universal/)`);
    expect(kept.filter((path) => !place.test(path))).toEqual([]);
    expect(kept.filter((path) => path.endsWith("onnxruntime_binding.node"))).toHaveLength(1);
    expect(kept.filter((path) => path.endsWith("dawn.node"))).toHaveLength(1);
    expect(kept.filter((path) => /libonnxruntime|onnxruntime\.dll/.test(path))).toHaveLength(1);
  });

  it.each(targets)(
    "has for %s koffi's binary, which package-lock.json names, and not the one for musl",
    async (target) => {
      const here = await koffiBinary(thisPlatform());
      const { name, version, integrity } = await koffiBinary(target);
      expect([name, version]).toEqual([`@koromix/koffi-${target}`, here.version]);
      expect(integrity).toMatch(/^sha512-/);
      const kept = (await nativeFiles(here.name)).filter((path) => isForTarget(path, target) && !isDeadWeight(path));
      expect(kept).toHaveLength(name === here.name ? 1 : 0);
    },
  );
});

async function nativeFiles(name: string): Promise<string[]> {
  const folder = join(root, "node_modules", name);
  const files = await readdir(folder, { recursive: true });
  return files
    .map((path) => `/node_modules/${name}/${path.replaceAll("\\", "/")}`)
    .filter((path) => /\.(node|dll|dylib|so(\.\d+)*)$/.test(path));
}
