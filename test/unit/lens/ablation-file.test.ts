import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseAblation } from "../../../extension/ablation/file.ts";
import { readAblationSet } from "../../../server/lens/ablation-file.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-set-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function fileWith(text: string): Promise<string> {
  const path = join(folder, "set.lfp-ablation.json");
  await writeFile(path, text);
  return path;
}

const features = [{ id: "L4/F43", factor: 0 }];
const set = { format: "lfp-ablation/1", name: "", note: "", features };

describe("the file of an ablation set", () => {
  it("may name its schema, in the editor as for `lfp`", async () => {
    const text = JSON.stringify({ $schema: "../schemas/lfp-ablation.schema.json", ...set });
    expect(await readAblationSet(await fileWith(text))).toEqual(set);
    expect(parseAblation(text)).toEqual({ ok: true, set });
  });

  it.each([
    [JSON.stringify({ ...set, features: [...features, ...features] }), "names a feature twice"],
    [JSON.stringify({ ...set, colour: 1 }), "colour"],
    [JSON.stringify({ ...set, $schema: 1 }), "$schema"],
  ])("%s is refused by both, in the same words", async (text, says) => {
    await expect(readAblationSet(await fileWith(text))).rejects.toThrow(says);
    expect(parseAblation(text)).toMatchObject({ ok: false, problem: expect.stringContaining(says) });
  });
});
