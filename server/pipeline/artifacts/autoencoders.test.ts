import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { NoDictionariesError, readDictionaries, smallAndBig } from "./autoencoders.ts";

let root = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "lfp-dictionaries-"));
});
afterEach(() => rm(root, { recursive: true }));

test("the smallest of a layer is small, the largest of several big; those between have no size", async () => {
  for (const place of ["tuned/10/64", "tuned/2/128", "tuned/2/64", "tuned/2/1024", "tuned/2/notes", "base/2/64"])
    await mkdir(join(root, place), { recursive: true });
  await writeFile(join(root, "quality.json"), "{}");
  const found = await readDictionaries(root);
  expect(found.map(({ model, layer, size, F }) => `${model} ${layer} ${size} ${F}`)).toEqual([
    "base 2 small 64",
    "tuned 2 small 64",
    "tuned 2 big 1024",
    "tuned 10 small 64",
  ]);
  expect(found[2]?.folder).toBe(join(root, "tuned", "2", "1024"));
});

test("a folder without any is no run's, and says so", async () => {
  await expect(readDictionaries(root)).rejects.toThrow(NoDictionariesError);
  await expect(readDictionaries(join(root, "nowhere"))).rejects.toThrow(/nowhere holds no dictionaries.*lfp run/);
});

test("sizes are told by the number of features, whatever their order", () => {
  expect(smallAndBig([])).toEqual([]);
  expect(smallAndBig([{ F: 8, id: "a" }])).toEqual([{ F: 8, id: "a", size: "small" }]);
  expect(smallAndBig([{ F: 32 }, { F: 8 }, { F: 16 }])).toEqual([
    { F: 8, size: "small" },
    { F: 32, size: "big" },
  ]);
});
