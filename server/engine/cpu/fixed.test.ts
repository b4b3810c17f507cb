import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from "../../common/floats.loops.ts";
import { Random } from "../../common/random.ts";
import type { FixedEntry, StoredAs } from "../device.ts";
import { gradients } from "../gradients.ts";
import type { Node, Values } from "../graph.ts";
import * as ops from "../ops.ts";
import { type CpuDevice, createCpuDevice } from "./device.ts";

const narrowing = { bf16: f32ToBf16, f16: f32ToF16 } as const;
const widening = { bf16: bf16ToF32, f16: f16ToF32 } as const;

/** Random values as they are stored, and the F32 values that these stand for. */
function randomAs(stored: StoredAs, count: number): { stored: Float32Array | Uint16Array; floats: Float32Array } {
  const random = Random.fromSeed(count);
  const floats = new Float32Array(count).map(() => random.uniform() - 0.5);
  if (stored === "f32") return { stored: floats, floats: floats.slice() };
  const bits = new Uint16Array(count);
  narrowing[stored](floats, bits);
  widening[stored](bits, floats, 0);
  return { stored: bits, floats };
}

function largestDifference(got: Values = new Float32Array(), expected: Values = got, count = 0): number {
  expect([got.length, expected.length]).toEqual([count, count]);
  let largest = 0;
  for (let at = 0; at < count; at++) largest = Math.max(largest, Math.abs((got[at] ?? 9) - (expected[at] ?? 0)));
  return largest;
}

describe("fixed weights", () => {
  let device: CpuDevice;
  beforeAll(async () => {
    device = await createCpuDevice({ threads: 2, runtime: "c-api" });
  });
  afterAll(() => device.close());

  /** The outputs with the table held fixed and with it in the heap. */
  async function both(
    stored: StoredAs,
    [rows, width]: readonly [number, number],
    outputs: Readonly<Record<string, Node>>,
    inputs: Readonly<Record<string, Values>>,
  ): Promise<Readonly<Record<"fixed" | "plain", Record<string, Values>>>> {
    const { stored: values, floats } = randomAs(stored, rows * width);
    const entry: FixedEntry = { name: "table", shape: [rows, width], stored, values };
    const fixed = await device.fixed.create([entry]);
    const plain = await device.createState([{ name: "table", shape: [rows, width], values: floats }]);
    const results = [];
    for (const store of [fixed, plain]) {
      const program = await device.compile({ stores: [store], frozen: [store], outputs });
      results.push(await program.run(inputs));
      await program.dispose();
      await store.dispose();
    }
    const [ofFixed = {}, ofPlain = {}] = results;
    return { fixed: ofFixed, plain: ofPlain };
  }

  it.each(["f32", "f16", "bf16"] as const)("in %s give the bytes that F32 weights in the heap give", async (stored) => {
    const table = ops.state("table", [48, 32]);
    const x = ops.embedding(table, ops.input("ids", [6], "i32"));
    const logits = ops.linear(ops.tanh(x), table);
    const loss = ops.mean(ops.gatherLogProbs(logits, ops.input("targets", [6], "i32")));
    const given = ops.input("given", [6, 32]);
    const other = ops.sum(ops.square(ops.linear(given, table)));
    const outputs = { x, logits, loss, back: gradients(other, [given])[0] ?? given, whole: ops.affine(table, 2) };
    const random = Random.fromSeed(7);
    const inputs = {
      ids: Int32Array.of(0, 47, 3, 3, 21, 9),
      targets: Int32Array.of(1, 2, 3, 4, 5, 47),
      given: new Float32Array(192).map(() => random.uniform() - 0.5),
    };
    const { fixed, plain } = await both(stored, [48, 32], outputs, inputs);
    expect(Object.keys(fixed)).toEqual(Object.keys(outputs));
    expect(fixed).toEqual(plain);
  });

  it("as large as a vocabulary's are read in blocks, with sums that differ by rounding only", async () => {
    const [V, D] = [33_001, 1024] as const;
    const table = ops.state("table", [V, D]);
    const given = ops.input("given", [2, 3, D]);
    const logits = ops.linear(given, table);
    const picked = ops.gatherLogProbs(ops.reshape(logits, [6, V]), ops.input("targets", [6], "i32"));
    const [back = given] = gradients(ops.sum(picked), [given]);
    const random = Random.fromSeed(3);
    const inputs = {
      given: new Float32Array(6 * D).map(() => random.uniform() - 0.5),
      targets: Int32Array.of(0, V - 1, 16_500, 16_501, 7, 30_000),
    };
    const { fixed, plain } = await both("bf16", [V, D], { logits, back }, inputs);
    expect(largestDifference(fixed["logits"], plain["logits"], 6 * V)).toBeLessThan(1e-5);
    expect(largestDifference(fixed["back"], plain["back"], 6 * D)).toBeLessThan(1e-5);
  });

  it("are read back as F32, never written, and freed with the last store that has them", async () => {
    const { stored: values, floats } = randomAs("bf16", 6);
    const store = await device.fixed.create([{ name: "w", shape: [2, 3], stored: "bf16", values }]);
    const own: FixedEntry = { name: "b.v", shape: [1], stored: "f32", values: Float32Array.of(4), isWritable: true };
    const other = await device.fixed.share(store, { prefix: { from: "", to: "b." }, entries: [own] });
    expect(other.names).toEqual(["b.w", "b.v"]);
    expect(await store.read("w")).toEqual(floats);
    await expect(store.write("w", floats)).rejects.toThrow("'w' belongs to a model whose weights are held fixed");
    const update = { kind: "assign", target: ops.state("w", [2, 3]), value: ops.input("x", [2, 3]) } as const;
    const program = await device.compile({ stores: [store], outputs: {}, updates: [update] });
    await expect(program.run({ x: new Float32Array(6) })).rejects.toThrow("train adapters (lora");
    await store.dispose();
    await store.dispose();
    await expect(device.fixed.share(store, { prefix: { from: "", to: "" } })).rejects.toThrow(
      "after it was disposed of",
    );
    const sum = ops.add(ops.state("b.w", [2, 3]), ops.state("b.v", [1]));
    const reads = await device.compile({ stores: [other], outputs: { sum } });
    expect((await reads.run({}))["sum"]).toEqual(floats.map((value) => value + 4));
    await other.write("b.v", Float32Array.of(5));
    expect((await reads.run({}))["sum"]).toEqual(floats.map((value) => value + 5));
    await expect(other.write("b.v", new Float32Array(2))).rejects.toThrow("got 2 values; expected 1");
    await other.dispose();
    await expect(other.read("b.w")).rejects.toThrow("no state 'b.w'");
  });

  it("of a wrong length or kind are refused", async () => {
    const entry = { name: "w", shape: [2, 3], stored: "f16", values: new Uint16Array(5) } as const;
    await expect(device.fixed.create([entry])).rejects.toThrow("input 'w': got 5 values; expected 6");
    const bits = { name: "w", shape: [2], stored: "f32", values: new Uint16Array(2) } as const;
    await expect(device.fixed.create([bits])).rejects.toThrow("got Uint16Array; expected values of f32");
  });

  it("that this machine cannot hold are refused with the sum", async () => {
    await expect(device.fixed.admit(2 ** 50, new Set(["bf16"]))).rejects.toThrow(
      /the model's weights need 1048576\.0 GiB, this process holds [\d.]+ GiB already/,
    );
    await device.fixed.admit(1, new Set(["bf16"]));
  });

  it("in BF16 are refused by name where ONNX Runtime is reached by its package", async () => {
    const other = await createCpuDevice({ threads: 1, runtime: "onnxruntime-node" });
    await expect(other.fixed.admit(1, new Set(["f32", "bf16"]))).rejects.toThrow(
      "only ONNX Runtime's C API reads them",
    );
    await other.fixed.admit(1, new Set(["f32"]));
    await other.close();
  });
});

it("widening a chain of weights forward and back needs the memory of few of them", async () => {
  const device = await createCpuDevice({ threads: 2, runtime: "c-api" });
  const [D, count] = [2048, 24] as const;
  const name = (at: number): string => `w${at}`;
  const entries = Array.from({ length: count }, (_, at): FixedEntry => {
    return { name: name(at), shape: [D, D], stored: "bf16", values: new Uint16Array(D * D).fill(0x3c00) };
  });
  const store = await device.fixed.create(entries);
  const x = ops.input("x", [4, D]);
  let y = x;
  for (let at = 0; at < count; at++) y = ops.tanh(ops.linear(y, ops.state(name(at), [D, D])));
  const [back = x] = gradients(ops.sum(y), [x]);
  const program = await device.compile({ stores: [store], outputs: { y, back } });
  const before = process.memoryUsage.rss();
  await program.run({ x: new Float32Array(4 * D).fill(0.1) });
  const grown = (process.memoryUsage.rss() - before) / 2 ** 20;
  await device.close();
  // One wide weight is 16 MiB, all of them 384.
  expect(grown).toBeLessThan(128);
});
