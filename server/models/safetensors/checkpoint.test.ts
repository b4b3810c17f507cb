import { createHash } from "node:crypto";
import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  CheckpointIndexError,
  ModelFileError,
  NoWeightsError,
  openCheckpointTensors,
  PickleRefusedError,
  SafetensorsError,
  TensorNotFoundError,
  writeSafetensors,
} from "../safetensors.ts";

const fixtures = fileURLToPath(new URL("../../../test/fixtures/safetensors/", import.meta.url));
const INDEX = "model.safetensors.index.json";

let folder = "";
beforeEach(async () => {
  folder = await fs.mkdtemp(join(tmpdir(), "lfp-checkpoint-"));
});
afterEach(() => fs.rm(folder, { recursive: true, force: true }));

const put = (name: string, text: string) => fs.writeFile(join(folder, name), text);
const tensor = (name: string, value: number) =>
  ({ name, dtype: "F32", shape: [1], data: Float32Array.of(value) }) as const;

test("reads a sharded checkpoint of transformers as one", async () => {
  const { sharded }: { sharded: Record<string, { shape: number[]; f32: string }> } = JSON.parse(
    await fs.readFile(join(fixtures, "expected.json"), "utf8"),
  );
  await using tensors = await openCheckpointTensors(join(fixtures, "sharded"));
  expect(new Set(tensors.tensors.keys())).toEqual(new Set(Object.keys(sharded)));
  expect(tensors.metadata.get("format")).toBe("pt");
  for (const [name, { shape, f32 }] of Object.entries(sharded)) {
    expect(tensors.tensors.get(name)).toMatchObject({ name, shape, dtype: "F16" });
    const values = await tensors.readFloat32(name);
    expect(createHash("sha256").update(new Uint8Array(values.buffer)).digest("hex")).toBe(f32);
    expect((await tensors.readBytes(name)).length).toBe(2 * values.length);
  }
  await expect(tensors.readFloat32("no.such")).rejects.toBeInstanceOf(TensorNotFoundError);
});

test("reads a checkpoint in one file, also when pickles lie beside it", async () => {
  await writeSafetensors(join(folder, "model.safetensors"), [tensor("w", 3)]);
  await put("pytorch_model.bin", "");
  await using tensors = await openCheckpointTensors(folder);
  expect([...(await tensors.readFloat32("w"))]).toEqual([3]);
});

test("a missing shard is named, and a shard without its tensor too", async () => {
  await writeSafetensors(join(folder, "one.safetensors"), [tensor("a", 1)]);
  await put(INDEX, JSON.stringify({ weight_map: { a: "one.safetensors", b: "two.safetensors" } }));
  const missing = await openCheckpointTensors(folder).catch((e) => e);
  expect(missing).toBeInstanceOf(ModelFileError);
  expect(missing).toMatchObject({ code: "not-found", path: join(folder, "two.safetensors") });

  await put(INDEX, JSON.stringify({ weight_map: { a: "one.safetensors", b: "one.safetensors" } }));
  await expect(openCheckpointTensors(folder)).rejects.toThrow(/one\.safetensors holds tensor "b"/);

  await put("two.safetensors", "damaged");
  await put(INDEX, JSON.stringify({ weight_map: { a: "one.safetensors", b: "two.safetensors" } }));
  await expect(openCheckpointTensors(folder)).rejects.toBeInstanceOf(SafetensorsError);
});

test("a tensor comes from the shard that the index names", async () => {
  await writeSafetensors(join(folder, "one.safetensors"), [tensor("a", 1), tensor("b", 1)]);
  await writeSafetensors(join(folder, "two.safetensors"), [tensor("a", 2), tensor("b", 2)]);
  await put(INDEX, JSON.stringify({ weight_map: { a: "two.safetensors", b: "one.safetensors" } }));
  await using tensors = await openCheckpointTensors(folder);
  expect([...(await tensors.readFloat32("a"))]).toEqual([2]);
  expect([...(await tensors.readFloat32("b"))]).toEqual([1]);
});

test("no index reaches out of its folder", async () => {
  await fs.mkdir(join(folder, "inside"));
  await writeSafetensors(join(folder, "secret.safetensors"), [tensor("a", 1)]);
  const absolute = join(folder, "secret.safetensors");
  const names = [
    "../secret.safetensors",
    "..\\secret.safetensors",
    absolute,
    "./x.safetensors",
    "a/../../secret.safetensors",
  ];
  for (const shard of [
    ...names,
    "C:secret.safetensors",
    "x\u0000.safetensors",
    ".safetensors",
    "x.bin",
    "",
    1,
    null,
    {},
  ]) {
    await fs.writeFile(join(folder, "inside", INDEX), JSON.stringify({ weight_map: { a: shard } }));
    await expect(openCheckpointTensors(join(folder, "inside"))).rejects.toBeInstanceOf(CheckpointIndexError);
  }
});

test("an index that is no index", async () => {
  for (const text of ["", "{", "null", "[]", "{}", '{"weight_map":[]}', '{"weight_map":{}}', '{"weight_map":"x"}']) {
    await put(INDEX, text);
    await expect(openCheckpointTensors(folder)).rejects.toBeInstanceOf(CheckpointIndexError);
  }
});

test.each(["pytorch_model.bin", "model.pt", "consolidated.00.pth", "pytorch_model-00001-of-00002.bin", "last.ckpt"])(
  "only a pickle (%s): refused, with what to do",
  async (name) => {
    await put(name, "\x80\x02");
    await put("config.json", "{}");
    const error = await openCheckpointTensors(folder).catch((e) => e);
    expect(error).toBeInstanceOf(PickleRefusedError);
    expect(error.message).toContain(name);
    expect(error.message).toContain("safe_serialization=True");
  },
);

test("a missing folder, a file for a folder, and a folder without weights", async () => {
  await expect(openCheckpointTensors(join(folder, "no"))).rejects.toMatchObject({
    name: "ModelFileError",
    code: "not-found",
  });
  await put("config.json", "{}");
  await expect(openCheckpointTensors(join(folder, "config.json"))).rejects.toBeInstanceOf(ModelFileError);
  const error = await openCheckpointTensors(folder).catch((e) => e);
  expect(error).toBeInstanceOf(NoWeightsError);
  expect(error.message).toContain("config.json");
});
