import { mkdir, readFile, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { scratchFolder } from "../../test/unit/runs/scratch.ts";
import { InternalError } from "../common/errors.ts";
import { disk } from "./files.ts";
import { commitOutput, openOutput } from "./stage-output.ts";

const identity = {
  stage: "tune",
  codeVersion: 1,
  key: "a".repeat(64),
  settings: { steps: 3 },
  seed: 1,
  deviceClass: "cpu",
  inputs: { model: { digest: "d", path: "/models/x" } },
  versions: { node: "v24" },
};
const receipt = { startedAt: "2026-01-01T00:00:00.000Z", finishedAt: "later", workedMs: 5, host: "h" };
let root: string;

beforeEach(async () => {
  root = await scratchFolder();
  await mkdir(join(root, "work", "sub"), { recursive: true });
  await writeFile(join(root, "work", "weights.bin"), "weights");
  await writeFile(join(root, "work", "sub", "config.json"), "{}");
});

function commit(to = "out") {
  const log = Buffer.from('{"loss":1}\n');
  return commitOutput({ from: join(root, "work"), to: join(root, to), identity, log, receipt, files: disk });
}

const open = (check: "fast" | "full" = "fast") => openOutput(join(root, "out"), identity.key, check);

test("an output is there after its commit, with its checksums and lineage", async () => {
  expect(await open()).toBeUndefined();
  const { manifest } = await commit();
  expect(manifest.files.map(({ path, size }) => [path, size])).toEqual([
    ["log.jsonl", 11],
    ["sub/config.json", 2],
    ["weights.bin", 7],
  ]);
  // printf weights | sha256sum
  expect(manifest.files[2]?.sha256).toBe("9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c");
  for (const check of ["fast", "full"] as const) {
    expect(await open(check)).toEqual({ folder: join(root, "out"), manifest });
  }
  expect(await stat(join(root, "work")).catch(() => "gone")).toBe("gone");
});

test("equal work gives an equal manifest; the log does not count for what comes after", async () => {
  const first = await commit();
  const text = await readFile(join(root, "out", "manifest.json"), "utf8");
  await rm(join(root, "out"), { recursive: true });
  await mkdir(join(root, "work", "sub"), { recursive: true });
  await writeFile(join(root, "work", "weights.bin"), "weights");
  await writeFile(join(root, "work", "sub", "config.json"), "{}");
  const second = await commit();
  expect(await readFile(join(root, "out", "manifest.json"), "utf8")).toBe(text);
  expect(second.manifest.digest).toBe(first.manifest.digest);
});

describe("damage", () => {
  beforeEach(() => commit());

  test.each<[string, (folder: string) => Promise<unknown>, string]>([
    ["a file with other contents", (f) => writeFile(join(f, "weights.bin"), "weightz"), "weights.bin does not match"],
    ["a shorter file", (f) => writeFile(join(f, "weights.bin"), "weight"), "weights.bin has 6 bytes, expected 7"],
    ["a missing file", (f) => rm(join(f, "sub", "config.json")), "sub/config.json is missing"],
    ["a missing manifest", (f) => rm(join(f, "manifest.json")), "manifest.json is missing"],
    [
      "a changed manifest",
      async (f) => {
        const path = join(f, "manifest.json");
        await writeFile(path, (await readFile(path, "utf8")).replace('"seed": 1', '"seed": 2'));
      },
      "manifest.json is missing or does not verify",
    ],
  ])("%s is named", async (_, damage, message) => {
    await damage(join(root, "out"));
    expect(await open()).toContain(message);
  });

  test("contents changed behind an unchanged time and size are found by the full check", async () => {
    const path = join(root, "out", "weights.bin");
    const before = await stat(path);
    await writeFile(path, "weightz");
    await utimes(path, before.atimeMs / 1000, before.mtimeMs / 1000);
    expect(await open("full")).toContain("does not match its checksum");
  });

  test("a copy with other times and no receipt is sound: its contents are what counts", async () => {
    await utimes(join(root, "out", "weights.bin"), 1, 1);
    expect(await open()).toHaveProperty("manifest");
    await rm(join(root, "out", "receipt.json"));
    expect(await open()).toHaveProperty("manifest");
  });

  test("another stage's output is not taken for ours", async () => {
    expect(await openOutput(join(root, "out"), "b".repeat(64), "fast")).toContain("belongs to another");
  });
});

test.each(["manifest.json", "receipt.json", "log.jsonl"])("a stage may not write %s", async (name) => {
  await writeFile(join(root, "work", name), "{}");
  await expect(commit()).rejects.toThrow(InternalError);
});

test("a stage may not leave links", async () => {
  await symlink("/etc/passwd", join(root, "work", "link"));
  await expect(commit()).rejects.toThrow("is a link");
});
