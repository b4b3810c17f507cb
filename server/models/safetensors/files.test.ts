import { execFileSync } from "node:child_process";
import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Random } from "../../common/random.ts";
import {
  ModelFileError,
  NonFiniteTensorError,
  openSafetensors,
  SafetensorsError,
  TensorDtypeError,
  TensorNotFoundError,
  TensorNotWritableError,
  TensorOverflowError,
  type TensorToWrite,
  writeSafetensors,
} from "../safetensors.ts";

const pythonFile = fileURLToPath(new URL("../../../test/fixtures/safetensors/python.safetensors", import.meta.url));
const expectedFile = new URL("../../../test/fixtures/safetensors/expected.json", import.meta.url);

interface Expected {
  python: Record<string, { dtype: "F32" | "F16" | "BF16"; shape: number[]; values: string[] }>;
}

let folder = "";
let path = "";
beforeEach(async () => {
  folder = await fs.mkdtemp(join(tmpdir(), "lfp-safetensors-"));
  path = join(folder, "model.safetensors");
});
afterEach(() => fs.rm(folder, { recursive: true, force: true }));

async function pythonTensors(): Promise<[string, Expected["python"][string]][]> {
  const expected: Expected = JSON.parse(await fs.readFile(expectedFile, "utf8"));
  return Object.entries(expected.python);
}

const numberOf = (text: string) =>
  text === "inf" ? Number.POSITIVE_INFINITY : text === "-inf" ? Number.NEGATIVE_INFINITY : Number(text);

test("reads what Python wrote", async () => {
  const expected = await pythonTensors();
  await using file = await openSafetensors(pythonFile);
  expect(new Set(file.tensors.keys())).toEqual(new Set(expected.map(([name]) => name)));
  expect([...file.metadata]).toEqual([["format", "pt"]]);
  for (const [name, { dtype, shape, values }] of expected) {
    expect(file.tensors.get(name)).toMatchObject({ name, dtype, shape });
    expect([...(await file.readFloat32(name))]).toEqual(values.map(numberOf));
    const bytes = await file.readBytes(name);
    expect(bytes.length).toBe(values.length * (dtype === "F32" ? 4 : 2));
  }
});

test("writes byte for byte what Python writes", async () => {
  const tensors = (await pythonTensors()).map(([name, { dtype, shape, values }]) => ({
    name,
    dtype,
    shape,
    data: Float32Array.from(values, numberOf),
  }));
  await writeSafetensors(path, tensors);
  expect(await fs.readFile(path)).toEqual(await fs.readFile(pythonFile));
  // The order in which they are given makes no difference.
  await writeSafetensors(path, tensors.reverse());
  expect(await fs.readFile(path)).toEqual(await fs.readFile(pythonFile));
});

test("what is written reads back, over the edges of the pieces it is converted in", async () => {
  const random = Random.fromSeed(5);
  const length = (1 << 21) + 4321;
  const data = Float32Array.from({ length }, () => random.uint32() / 2 ** 31 - 1);
  const tensors: TensorToWrite[] = [
    { name: "wide", dtype: "F32", shape: [length], data },
    { name: "half", dtype: "F16", shape: [1, length], data },
    { name: "brain", dtype: "BF16", shape: [length, 1], data },
    { name: "none", dtype: "F16", shape: [0, 4], data: new Float32Array(0) },
  ];
  await writeSafetensors(path, tensors, { note: "grüße" });
  await using file = await openSafetensors(path);
  expect([...file.metadata]).toEqual([["note", "grüße"]]);
  for (const { byteStart, dtype } of file.tensors.values()) expect(byteStart % (dtype === "F32" ? 8 : 2)).toBe(0);
  expect(Buffer.compare(await file.readBytes("wide"), new Uint8Array(data.buffer))).toBe(0);
  for (const [name, bits] of [
    ["half", 11],
    ["brain", 8],
  ] as const) {
    const read = await file.readFloat32(name);
    expect(read.length).toBe(length);
    // Half a unit in the last place of 1 is the most that rounding may move a value in [-1, 1].
    expect(read.every((value, i) => Math.abs(value - Number(data[i])) <= 2 ** -(bits + 1))).toBe(true);
    const again: TensorToWrite = { name, dtype: name === "half" ? "F16" : "BF16", shape: [length], data: read };
    await writeSafetensors(join(folder, "again"), [again]);
    await using copy = await openSafetensors(join(folder, "again"));
    expect(Buffer.compare(await copy.readBytes(name), await file.readBytes(name))).toBe(0);
  }
  expect((await file.readFloat32("none")).length).toBe(0);
});

test("many readers at once get the right bytes", async () => {
  await using file = await openSafetensors(pythonFile);
  const names = [...file.tensors.keys(), ...file.tensors.keys(), ...file.tensors.keys()];
  const together = await Promise.all(names.map((name) => file.readFloat32(name)));
  for (const [i, name] of names.entries()) expect(together[i]).toEqual(await file.readFloat32(name));
});

test("saving onto the file that is being read is safe", async () => {
  const tensor = (value: number): TensorToWrite => ({
    name: "w",
    dtype: "F16",
    shape: [4],
    data: new Float32Array(4).fill(value),
  });
  await writeSafetensors(path, [tensor(1)]);
  const file = await openSafetensors(path);
  await writeSafetensors(path, [{ ...tensor(0), data: (await file.readFloat32("w")).map((value) => value + 1) }]);
  expect([...(await file.readFloat32("w"))]).toEqual([1, 1, 1, 1]);
  await file.close();
  await using saved = await openSafetensors(path);
  expect([...(await saved.readFloat32("w"))]).toEqual([2, 2, 2, 2]);
});

test("a file that is cut short or written to while open", async () => {
  const tensors: TensorToWrite[] = [{ name: "w", dtype: "F32", shape: [1000], data: new Float32Array(1000) }];
  for (const damage of [
    () => fs.truncate(path, 2000),
    () => fs.truncate(path, 0),
    () => fs.appendFile(path, "x"),
    async () => {
      const { mtime } = await fs.stat(path);
      await fs.utimes(path, mtime, new Date(mtime.getTime() + 1));
    },
  ]) {
    await writeSafetensors(path, tensors);
    await using file = await openSafetensors(path);
    await damage();
    const error = await file.readFloat32("w").catch((e) => e);
    expect(error).toBeInstanceOf(SafetensorsError);
    expect(error).toMatchObject({ rule: "changed-while-open", code: "input" });
  }
});

test("files cut anywhere are refused by a named rule", async () => {
  const whole = await fs.readFile(pythonFile);
  const rules = new Set<string>();
  for (let bytes = 0; bytes < whole.length; bytes += 3) {
    await fs.writeFile(path, whole.subarray(0, bytes));
    const error = await openSafetensors(path).catch((e) => e);
    expect(error).toBeInstanceOf(SafetensorsError);
    rules.add(error.rule);
  }
  expect(rules).toEqual(new Set(["data-length", "header-length", "header-too-small"]));
});

// The header's bytes and the text made from them are all there is: twice the file, and a little more to undo escapes.
test.each([
  ["plain", "a", 2.6],
  ["escaped", "\\u0061", 3],
] as const)(
  "a header of one %s name as long as the file takes little more than twice the file",
  async (_kind, unit, most) => {
    const header = Buffer.from(`{"${unit.repeat(30_000_000 / unit.length)}":1}`);
    const prefix = Buffer.alloc(8);
    prefix.writeBigUInt64LE(BigInt(header.length));
    await fs.writeFile(path, Buffer.concat([prefix, header]));
    // Measured in a process of its own.
    const script = `
    const { openSafetensors } = await import(${JSON.stringify(new URL("../safetensors.ts", import.meta.url).href)});
    const before = process.memoryUsage().rss;
    const error = await openSafetensors(${JSON.stringify(path)}).catch((e) => e);
    console.log(JSON.stringify({ rule: error.rule, grownBytes: process.resourceUsage().maxRSS * 1024 - before }));`;
    const output = execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
    const { rule, grownBytes }: { rule: string; grownBytes: number } = JSON.parse(output);
    expect(rule).toBe("json");
    expect(grownBytes).toBeLessThan(most * header.length);
  },
);

test("what is not there, not a file, or not numbers", async () => {
  await expect(openSafetensors(path)).rejects.toMatchObject({ name: "ModelFileError", code: "not-found" });
  await expect(openSafetensors(folder)).rejects.toBeInstanceOf(ModelFileError);
  if (process.platform !== "win32") {
    execFileSync("mkfifo", [join(folder, "pipe")]);
    await expect(openSafetensors(join(folder, "pipe"))).rejects.toBeInstanceOf(ModelFileError);
  }

  const header = Buffer.from('{"mask":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}}');
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(header.length));
  await fs.writeFile(path, Buffer.concat([prefix, header, Buffer.of(1, 0)]));
  await using file = await openSafetensors(path);
  expect([...(await file.readBytes("mask"))]).toEqual([1, 0]);
  await expect(file.readFloat32("mask")).rejects.toBeInstanceOf(TensorDtypeError);
  await expect(file.readFloat32("toString")).rejects.toBeInstanceOf(TensorNotFoundError);
  await expect(file.readBytes("weight")).rejects.toThrow(/"weight".*"mask"/);
});

test("values that are not finite are named when they must be", async () => {
  const data = Float32Array.of(1, 2, Number.NEGATIVE_INFINITY, Number.NaN);
  await writeSafetensors(path, [
    { name: "bad", dtype: "F16", shape: [4], data },
    { name: "good", dtype: "F16", shape: [2], data: data.subarray(0, 2) },
  ]);
  await using file = await openSafetensors(path);
  expect([...(await file.readFloat32("bad"))]).toEqual([...data]);
  expect((await file.readFloat32("good", { requireFinite: true })).length).toBe(2);
  const error = await file.readFloat32("bad", { requireFinite: true }).catch((e) => e);
  expect(error).toBeInstanceOf(NonFiniteTensorError);
  expect(error.message).toMatch(/element 2 of tensor "bad".*-Infinity/);
});

test("reading after closing is a defect that says so", async () => {
  const file = await openSafetensors(pythonFile);
  await file.close();
  await expect(file.readFloat32("scalar")).rejects.toThrow(/read after it was closed/);
});

test("tensors that no file can hold leave the old file alone", async () => {
  await fs.writeFile(path, "old");
  const one: TensorToWrite = { name: "w", dtype: "F32", shape: [1], data: new Float32Array(1) };
  for (const tensors of [
    [one, one],
    [{ ...one, name: "__metadata__" }],
    [{ ...one, name: "\ud800" }],
    [{ ...one, shape: [2] }],
    [{ ...one, shape: [-1, -1] }],
    [{ ...one, shape: [1.5] }],
  ]) {
    await expect(writeSafetensors(path, tensors)).rejects.toBeInstanceOf(TensorNotWritableError);
  }
  const large: TensorToWrite = { ...one, dtype: "F16", shape: [2], data: Float32Array.of(1, 70000) };
  await expect(writeSafetensors(path, [large])).rejects.toBeInstanceOf(TensorOverflowError);
  await expect(writeSafetensors(path, [large])).rejects.toThrow(/element 1 of tensor "w" is 70000.*F32/);
  expect(await fs.readFile(path, "utf8")).toBe("old");
  expect(await fs.readdir(folder)).toEqual(["model.safetensors"]);
});

test("mutated files are refused by a named error or read without one", async () => {
  const sound = await fs.readFile(pythonFile);
  const random = Random.fromSeed(99);
  let opened = 0;
  for (let i = 0; i < 600; i++) {
    const file = Buffer.from(sound);
    // Mostly in the header and its length, where the decisions are.
    for (let changes = 1 + random.integer(3); changes > 0; changes--) file[random.integer(760)] = random.integer(256);
    await fs.writeFile(path, random.integer(4) === 0 ? file.subarray(0, random.integer(file.length)) : file);
    try {
      await using source = await openSafetensors(path);
      for (const name of source.tensors.keys()) await source.readBytes(name);
      opened++;
    } catch (error) {
      if (!(error instanceof SafetensorsError)) throw error;
    }
  }
  expect(opened).toBeGreaterThan(10);
});
