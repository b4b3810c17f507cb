/** Checkpoints of the body alone, whose names lack the architecture's prefix: whoever reads weights takes them for what they are. */
import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { starterFolder } from "../../server/common/package-root.ts";
import { Random } from "../../server/common/random.ts";
import { createCpuDevice } from "../../server/engine/cpu/device.ts";
import type { Device } from "../../server/engine/device.ts";
import { createModel, saveModel } from "../../server/models/checkpoint.ts";
import { readConfig } from "../../server/models/config.ts";
import { CheckpointTensorError } from "../../server/models/errors.ts";
import { embeddingNameOf, parametersOf } from "../../server/models/model.ts";
import { openPair, PairMismatchError } from "../../server/models/pair.ts";
import { openParameters } from "../../server/models/parameters.ts";
import { openSafetensors, type TensorToWrite, writeSafetensors } from "../../server/models/safetensors.ts";
import { readTokenEmbeddings } from "../../server/models/token-embeddings.ts";
import { divergenceFile } from "../../server/pipeline/artifacts/divergence.ts";
import { restoreFile } from "../../server/pipeline/artifacts/restore.ts";
import { heldOutTexts } from "../../server/pipeline/artifacts/texts.ts";
import { divergenceStage } from "../../server/pipeline/stages/divergence.ts";
import { restoreStage } from "../../server/pipeline/stages/restore.ts";
import { paperSampling } from "../../server/tuning/sampling-config.ts";
import { modelFolder } from "../conformance/fixtures.ts";
import { stageContext } from "../support/stage-context.ts";
import { scratchFolder } from "./runs/scratch.ts";

const names = ["gpt-neox", "gpt-neo"] as const;
const prefixes = { "gpt-neox": "gpt_neox.", "gpt-neo": "transformer." } as const;
type Name = (typeof names)[number];

let device: Device;
beforeAll(async () => {
  device = await createCpuDevice({ threads: 1 });
});
afterAll(() => device.close());

/** A copy of a checkpoint with other names, or with other values too. */
async function rewritten(
  from: string,
  change: (tensor: TensorToWrite & { data: Float32Array }) => TensorToWrite,
): Promise<string> {
  const folder = join(await scratchFolder(), "model");
  await cp(from, folder, { recursive: true });
  const tensors: TensorToWrite[] = [];
  await using source = await openSafetensors(join(from, "model.safetensors"));
  for (const [name, { shape }] of source.tensors)
    tensors.push(change({ name, dtype: "F32", shape: [...shape], data: await source.readFloat32(name) }));
  await writeSafetensors(join(folder, "model.safetensors"), tensors);
  return folder;
}

const bodyOf = (from: string, name: Name): Promise<string> =>
  rewritten(from, (tensor) => ({ ...tensor, name: tensor.name.replace(prefixes[name], "") }));

/** With the starter's tokenizer beside it. */
async function withTokenizer(folder: string): Promise<string> {
  for (const file of (await readdir(starterFolder())).filter((file) => file.startsWith("tokenizer")))
    await cp(join(starterFolder(), file), join(folder, file));
  return folder;
}

/** A random model of the kind of a fixture, with the starter's tokenizer. */
async function randomModel(name: Name, seed: number): Promise<string> {
  const folder = join(await scratchFolder(), "model");
  const json: object = JSON.parse(await readFile(join(modelFolder(name), "config.json"), "utf8"));
  const own = { ...json, vocab_size: 4096, bos_token_id: 0, eos_token_id: 0, pad_token_id: 0 };
  await saveModel(await createModel(device, own, Random.fromSeed(seed), 0.1), folder);
  return await withTokenizer(folder);
}

async function jsonIn(folder: string, file: string): Promise<unknown> {
  return JSON.parse(await readFile(join(folder, file), "utf8"));
}

async function folderFor(): Promise<string> {
  const folder = join(await scratchFolder(), "output");
  await mkdir(folder);
  return folder;
}

describe.each(names)("%s without its prefix", (name) => {
  it("is read by the names of parameters, and nothing else stands under them", async () => {
    const folder = await bodyOf(modelFolder(name), name);
    await using source = await openParameters(folder);
    await using whole = await openParameters(modelFolder(name));
    const { config } = await readConfig(folder);
    expect([...source.tensors.keys()]).toEqual(parametersOf(config).map((own) => own.name));
    for (const parameter of source.tensors.keys()) {
      const values = await source.readFloat32(parameter);
      expect(values).toEqual(await whole.readFloat32(parameter));
    }
    await expect(source.readFloat32("no.such.weight")).rejects.toThrow(/no\.such\.weight/);
  });

  it("has the same embeddings", async () => {
    const folder = await bodyOf(modelFolder(name), name);
    await using source = await openSafetensors(join(modelFolder(name), "model.safetensors"));
    const { config } = await readConfig(folder);
    const { rows } = await readTokenEmbeddings(folder);
    expect(rows).toEqual(await source.readFloat32(embeddingNameOf(config)));
  });

  it("is compared with another, and refused beside itself", async () => {
    const [base, tuned] = [await randomModel(name, 1), await randomModel(name, 2)];
    const bodies = { tuned: await bodyOf(tuned, name), base: await bodyOf(base, name) };
    for (const references of [bodies, { ...bodies, base }, { ...bodies, tuned }])
      expect((await openPair(device, references)).pair.tuned.config.modelType).toMatch(/^gpt_neo/);
    const same = openPair(device, { tuned: bodies.tuned, base: tuned });
    await expect(same).rejects.toBeInstanceOf(PairMismatchError);
    await expect(same).rejects.toThrow(/hold the same weights/);
  });

  it("diverges from its base as the whole checkpoint does, and is put back part by part", async () => {
    const [base, tuned] = [await randomModel(name, 1), await randomModel(name, 2)];
    const bodies = { model: await bodyOf(base, name), tuned: await bodyOf(tuned, name) };
    const texts = await folderFor();
    const line = { id: "a", text: "The film was long, and its plot was good enough to see it again with friends." };
    await writeFile(join(texts, heldOutTexts), Array.from({ length: 4 }, () => `${JSON.stringify(line)}\n`).join(""));
    const settings = { measure: "jointL2", layers: 1, choose: "highest" } as const;
    const sampling = { ...paperSampling, rows: 4, scoredRows: 4, minTextCharacters: 20 };
    const found: unknown[] = [];
    for (const inputs of [{ model: base, tuned }, bodies]) {
      const [divergence, restore] = [await folderFor(), await folderFor()];
      await divergenceStage.run(stageContext({ settings, inputs, output: divergence }));
      const own = {
        sampling,
        text: { prependBos: true },
        judged: "full",
        reward: { kind: "vader", lexicon: "head" },
        prompts: 4,
        seed: 1,
      } as const;
      await restoreStage.run(
        stageContext({ settings: own, inputs: { ...inputs, texts, divergence }, output: restore }),
      );
      found.push([await jsonIn(divergence, divergenceFile), await jsonIn(restore, restoreFile)]);
    }
    expect(found[1]).toEqual(found[0]);
    expect(found[0]).toMatchObject([{ chosen: [expect.any(Number)] }, { prompts: 4 }]);
  });
});

it("names that are none of the architecture's are said, beside what the file holds", async () => {
  const folder = await rewritten(modelFolder("gpt-neo"), (tensor) => ({ ...tensor, name: `module.${tensor.name}` }));
  for (const read of [openParameters, readTokenEmbeddings]) {
    const reading: Promise<unknown> = read(folder);
    await expect(reading).rejects.toBeInstanceOf(CheckpointTensorError);
    await expect(reading).rejects.toThrow(/'transformer\.wte\.weight' .* is missing.*such as 'module\./);
  }
});
