import { createHash } from "node:crypto";
import { mkdir, rename, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { scratchFolder } from "../../test/unit/runs/scratch.ts";
import { outsideInput, type StageIdentity, stageKey } from "./stage-key.ts";

const identity: StageIdentity = {
  stage: "tune",
  codeVersion: 3,
  settings: { steps: 30, rate: 1e-5, words: ["a"] },
  inputs: { model: "aa", data: "bb" },
  seed: 1,
  deviceClass: "cpu",
};

test("the key is SHA-256 of the identity's canonical JSON", () => {
  const json =
    '{"codeVersion":3,"deviceClass":"cpu","inputs":{"data":"bb","model":"aa"},"seed":1,' +
    '"settings":{"rate":0.00001,"steps":30,"words":["a"]},"stage":"tune"}';
  expect(stageKey(identity)).toBe(createHash("sha256").update(json).digest("hex"));
});

test.each<[string, Partial<StageIdentity>]>([
  ["stage", { stage: "tune-2" }],
  ["code version", { codeVersion: 4 }],
  ["settings", { settings: { steps: 31, rate: 1e-5, words: ["a"] } }],
  ["an input's digest", { inputs: { model: "ab", data: "bb" } }],
  ["an input's name", { inputs: { model: "aa", text: "bb" } }],
  ["seed", { seed: 2 }],
  ["device class", { deviceClass: "webgpu" }],
])("another %s gives another key", (_, change) => {
  expect(stageKey({ ...identity, ...change })).not.toBe(stageKey(identity));
});

test("an outside input's digest depends on names and contents, and on nothing else", async () => {
  const root = await scratchFolder();
  const make = async (name: string, text: string) => {
    await mkdir(join(root, name, "sub"), { recursive: true });
    await writeFile(join(root, name, "sub", "a.txt"), text);
    await writeFile(join(root, name, "b.txt"), "b");
    return join(root, name);
  };
  const [one, same, other] = [await make("one", "x"), await make("same", "x"), await make("other", "y")];
  const { path, digest } = await outsideInput(one);
  expect(path).toBe(one);
  expect((await outsideInput(same)).digest).toBe(digest);
  expect((await outsideInput(other)).digest).not.toBe(digest);
  await rename(join(same, "b.txt"), join(same, "c.txt"));
  expect((await outsideInput(same)).digest).not.toBe(digest);
});

test("an outside input can be one file; a missing one and links to folders are refused", async () => {
  const root = await scratchFolder();
  await writeFile(join(root, "reviews.csv"), "text\n");
  expect((await outsideInput(join(root, "reviews.csv"))).digest).toMatch(/^[0-9a-f]{64}$/);
  await expect(outsideInput(join(root, "none"))).rejects.toThrow("ENOENT");
  const before = await outsideInput(root);
  await symlink(join(root, "reviews.csv"), join(root, "link.csv"));
  expect((await outsideInput(root)).digest).not.toBe(before.digest);
  await symlink(tmpdir(), join(root, "folder"));
  await expect(outsideInput(root)).rejects.toThrow("folder in");
});
