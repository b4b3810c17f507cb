import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectClose } from "../../../test/conformance/close-to.ts";
import { gpuIsHere } from "../../../test/conformance/devices.ts";
import { f32ToBf16 } from "../../common/floats.loops.ts";
import { Random } from "../../common/random.ts";
import type { Device, FixedEntry, FixedMemory } from "../device.ts";
import { widenedValues } from "../fixed-entries.ts";
import { gradients } from "../gradients.ts";
import * as ops from "../ops.ts";
import { createGpuDevice } from "./device.ts";

const megabytes = 2 ** 20;
const inF16 = new Set(["f16"] as const);

describe.skipIf(!gpuIsHere)("fixed weights on the GPU", () => {
  let device: Device;
  let fixed: FixedMemory;
  beforeAll(async () => {
    device = await createGpuDevice({ memory: async () => ({ bytes: 8 * megabytes, source: "a test" }) });
    if (device.fixed === undefined) throw new TypeError("the GPU device has no fixed memory");
    fixed = device.fixed;
  });
  afterAll(() => device.close());

  it("give the bytes that F32 weights give, in products by tiles", async () => {
    const [D, F, N] = [512, 512, 64] as const;
    const values = bits(D * F, 1);
    const x = ops.input("x", [N, D]);
    const w = ops.state("w", [F, D]);
    const y = ops.linear(x, w);
    const given = { x: normals(N * D, 2) };
    const entry = { name: "w", shape: [F, D] } as const;
    const wide = await device.createState([{ ...entry, values: widenedValues("bf16", values) }]);
    const narrow = await fixed.create([{ ...entry, stored: "bf16", values }]);
    const found = [];
    for (const store of [wide, narrow]) {
      const program = await device.compile({ stores: [store], outputs: { y, w } });
      found.push(await program.run(given));
      await program.dispose();
      await store.dispose();
    }
    expect(found[1]).toEqual(found[0]);
    expect(found[0]?.["w"]).toEqual(widenedValues("bf16", values));
  });

  it("take two bytes a weight, once for all stores that share them, freed with the last", async () => {
    const entry: FixedEntry = {
      name: "w",
      shape: [3, megabytes],
      stored: "f16",
      values: new Uint16Array(3 * megabytes),
    };
    const store = await fixed.create([entry]);
    const other = await fixed.share(store, { prefix: { from: "", to: "b." } });
    await fixed.admit(2 * megabytes, inF16);
    const none = /weights 2\.1 MiB.* and 6 MiB are held \(weights 6 MiB\)/;
    await expect(fixed.admit(Math.ceil(2.1 * megabytes), inF16)).rejects.toThrow(none);
    await store.dispose();
    await store.dispose();
    await expect(fixed.admit(3 * megabytes, inF16)).rejects.toThrow("weights 6 MiB");
    await other.dispose();
    await fixed.admit(8 * megabytes, inF16);
  });

  it("are read back as F32, never written by a program, and written by their store where it may", async () => {
    const values = bits(5, 3);
    const store = await fixed.create([{ name: "w", shape: [5], stored: "bf16", values: values.slice() }]);
    let disposals = 0;
    const own: FixedEntry = { name: "v", shape: [1], stored: "f32", values: Float32Array.of(4), isWritable: true };
    const onDispose = async (): Promise<void> => {
      disposals += 1;
      await store.dispose();
    };
    const other = await fixed.share(store, { prefix: { from: "", to: "b." }, entries: [own], onDispose });
    expect(other.names).toEqual(["b.w", "v"]);
    expect(await store.read("w")).toEqual(widenedValues("bf16", values));
    await expect(store.write("w", new Float32Array(5))).rejects.toThrow("whose weights are held fixed");
    const update = { kind: "assign", target: ops.state("w", [5]), value: ops.input("x", [5]) } as const;
    await expect(device.compile({ stores: [store], outputs: {}, updates: [update] })).rejects.toThrow(
      "'w' belongs to a model whose weights are held fixed",
    );
    await store.dispose();
    await expect(fixed.share(store, { prefix: { from: "", to: "" } })).rejects.toThrow("after it was disposed of");
    const sum = ops.add(ops.state("b.w", [5]), ops.state("v", [1]));
    const program = await device.compile({ stores: [other], outputs: { sum } });
    await other.write("v", Float32Array.of(5));
    expect((await program.run({}))["sum"]).toEqual(widenedValues("bf16", values).map((value) => value + 5));
    await program.dispose();
    await other.dispose();
    await other.dispose();
    expect(disposals).toBe(1);
    await expect(other.read("b.w")).rejects.toThrow("no state 'b.w'");
  });

  it("are read in parts that start where a binding may", async () => {
    const [N, D, V] = [200, 3, 5] as const;
    const values = bits(N * D, 5);
    const rows = ops.state("rows", [N, D]);
    const table = ops.input("table", [V, D]);
    const logProbs = ops.gatherLogProbs(ops.linear(rows, table), ops.input("ids", [N], "i32"));
    const [slope = table] = gradients(ops.sum(ops.square(logProbs)), [table]);
    const given = { table: normals(V * D, 6), ids: Int32Array.from({ length: N }, (_, at) => at % V) };
    const parts = await createGpuDevice({ mostLogits: 64 * V });
    const wide = await parts.createState([{ name: "rows", shape: [N, D], values: widenedValues("bf16", values) }]);
    const narrow = await parts.fixed?.create([{ name: "rows", shape: [N, D], stored: "bf16", values }]);
    const found = [];
    for (const store of [wide, narrow ?? wide]) {
      const program = await parts.compile({ stores: [store], outputs: { logProbs, slope } });
      found.push(await program.run(given));
    }
    await parts.close();
    expectClose("log-probabilities", found[1]?.["logProbs"], found[0]?.["logProbs"] ?? [], {
      absolute: 1e-6,
      relative: 1e-6,
    });
    // Chunks of other rows, whose sums are added in another order.
    expectClose("gradient", found[1]?.["slope"], found[0]?.["slope"] ?? [], { absolute: 1e-4, relative: 1e-5 });
  });

  it("are copied into other state by updates, widened", async () => {
    const values = bits(6, 4);
    const store = await fixed.create([{ name: "w", shape: [2, 3], stored: "bf16", values: values.slice() }]);
    const copy = await device.createState([{ name: "copy", shape: [2, 3], values: new Float32Array(6).fill(1) }]);
    const update = { kind: "accumulate", target: ops.state("copy", [2, 3]), value: ops.state("w", [2, 3]) } as const;
    const program = await device.compile({ stores: [store, copy], outputs: {}, updates: [update] });
    await program.run({});
    expect(await copy.read("copy")).toEqual(widenedValues("bf16", values).map((value) => value + 1));
    for (const held of [program, store, copy]) await held.dispose();
  });

  it("of a wrong length or kind are refused", async () => {
    const entry = { name: "w", shape: [2, 3], stored: "f16", values: new Uint16Array(5) } as const;
    await expect(fixed.create([entry])).rejects.toThrow("input 'w': got 5 values; expected 6");
    const other = { name: "w", shape: [2], stored: "f32", values: new Uint16Array(2) } as const;
    await expect(fixed.create([other])).rejects.toThrow("got Uint16Array; expected values of f32");
  });
});

function normals(length: number, seed: number): Float32Array {
  const random = Random.fromSeed(seed);
  return Float32Array.from({ length }, () => random.normal());
}

/** Normal values in BF16. */
function bits(length: number, seed: number): Uint16Array {
  const narrow = new Uint16Array(length);
  f32ToBf16(normals(length, seed), narrow);
  return narrow;
}
