/** Files as editors, Git and pandas leave them: byte order marks, Git LFS pointers, columns of 64-bit integers, texts that nothing can normalise. */
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { starterFolder } from "../../server/common/package-root.ts";
import { createCpuDevice } from "../../server/engine/cpu/device.ts";
import type { Device } from "../../server/engine/device.ts";
import { readAblationSet } from "../../server/lens/ablation-file.ts";
import { openModel } from "../../server/models/open.ts";
import { loadTokenizer } from "../../server/models/tokenizer.ts";
import { readTexts } from "../../server/pipeline/data/texts.ts";
import { loadExperiment } from "../../server/pipeline/experiment/resolve.ts";
import { prepareStage } from "../../server/pipeline/stages/prepare.ts";
import { stageContext } from "../support/stage-context.ts";

const modelFiles = ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"] as const;
const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${"4d7a".repeat(16)}\nsize 123456\n`;

let device: Device;
let scratch: string;
let count = 0;
beforeAll(async () => {
  device = await createCpuDevice({ threads: 1 });
  scratch = await mkdtemp(join(tmpdir(), "lfp-odd-files-"));
});
afterAll(async () => {
  await device.close();
  await rm(scratch, { recursive: true });
});

/** The starter with some of its files written anew. */
async function starterWith(write: (name: string, path: string) => Promise<void>): Promise<string> {
  const folder = join(scratch, `model-${++count}`);
  await mkdir(folder);
  for (const name of modelFiles) {
    await copyFile(join(starterFolder(), name), join(folder, name));
    await write(name, join(folder, name));
  }
  return folder;
}

async function written(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(scratch, `${++count}-${name}`);
  await writeFile(path, content);
  return path;
}

describe("a byte order mark", () => {
  it("is taken off every JSON file of a model", async () => {
    const folder = await starterWith(async (name, path) => {
      if (name.endsWith(".json")) await writeFile(path, `\uFEFF${await readFile(path, "utf8")}`);
    });
    const { model, tokenizer } = await openModel(device, folder);
    expect([model.config.vocabSize, tokenizer.vocabSize]).toEqual([4096, 4096]);
  });

  it("is taken off ablation sets, experiments and data", async () => {
    const set = { format: "lfp-ablation/1", features: [{ id: "L4/F43", factor: 0 }] };
    expect(await readAblationSet(await written("set.json", `\uFEFF${JSON.stringify(set)}`))).toMatchObject(set);
    const experiment = await written("e.json", `\uFEFF${JSON.stringify({ preset: "quick", name: "made-up" })}`);
    expect(await loadExperiment(experiment)).toMatchObject({ name: "made-up" });
    const lines = await written("t.jsonl", '\uFEFF{"text": "a"}\r\n{"text": "b"}\r\n');
    expect((await readTexts(lines, { field: "text" })).map(({ text }) => text)).toEqual(["a", "b"]);
  });
});

describe("a Git LFS pointer in place of a file", () => {
  it.each(modelFiles)("as %s is called that, with what to run", async (broken) => {
    const folder = await starterWith(async (name, path) => {
      if (name === broken) await writeFile(path, pointer);
    });
    const error = await openModel(device, folder).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "input" });
    expect(String(error)).toContain(
      `${join(folder, broken)}: it is a Git LFS pointer, not the file itself: run \`git lfs pull\``,
    );
    expect(String(error)).not.toMatch(/again/);
  });

  it.each(["t.jsonl", "t.jsonl.gz", "t.csv", "t.csv.gz", "t.parquet"])(
    "as the data file %s is called that",
    async (name) => {
      const path = await written(name, pointer);
      await expect(readTexts(path, { field: "text" })).rejects.toThrow(/is a Git LFS pointer.*git lfs pull/);
    },
  );

  it("is not seen in a text that begins as one does", async () => {
    const lines = await written("u.jsonl", '{"text": "version https://git-lfs.github.com/spec/v1"}\n');
    expect(await readTexts(lines, { field: "text" })).toHaveLength(1);
  });
});

describe("a column that holds no texts", () => {
  const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/data/${name}`, import.meta.url));

  it.each([
    ["groups.parquet", "id", /groups\.parquet, row 1 has 0 in field 'id'; expected a text: leave the row out, or name/],
    ["groups.parquet", "meta", /groups\.parquet, row 1 has \{"stars":"0"\} in field 'meta'; expected a text/],
  ])("of %s, %s, is refused by its row and value", async (file, field, says) => {
    const error = await readTexts(fixture(file), { field }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "input" });
    expect(String(error)).toMatch(says);
  });
});

describe("a text that nothing can normalise", () => {
  it("says after what its marks stand, not at which place of which part", async () => {
    const tokenizer = await loadTokenizer(starterFolder());
    const marks = "\u0301".repeat(2000);
    expect(() => tokenizer.encode(`A fine film z${marks}`)).toThrow(
      /more than 1024 combining marks in a row after "A fine film z", which/,
    );
    expect(() => tokenizer.encode(marks)).toThrow(/in a row, which/);
  });

  it("is left out of a run's data, named by file and row, and costs the run nothing", async () => {
    const texts = ["one", `two z${"\u0301".repeat(2000)}`, "three", "four"];
    const data = await written("marks.jsonl", texts.map((text) => `${JSON.stringify({ text })}\n`).join(""));
    const output = join(scratch, `output-${++count}`);
    await mkdir(output);
    const messages: unknown[] = [];
    await prepareStage.run(
      stageContext({
        settings: { data: { files: ["data"], field: "text", limit: null }, heldOut: 1, analysis: null },
        inputs: { data },
        output,
        message: (...said) => void messages.push(said),
      }),
    );
    expect(JSON.parse(await readFile(join(output, "counts.json"), "utf8"))).toEqual({
      tuning: 2,
      heldOut: 1,
      analysis: 3,
    });
    expect(messages).toEqual([[expect.stringContaining(`1 text was left out`), "warning"]]);
    expect(String(messages)).toContain(`${data}, row 2`);
  });
});
