import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AdamWOptions, Device, StateStore } from "../../server/engine/device.ts";
import { DeviceError, InputMismatchError, NonFiniteError } from "../../server/engine/errors.ts";
import { gradients } from "../../server/engine/gradients.ts";
import { type Node, topologicalOrder } from "../../server/engine/graph.ts";
import * as ops from "../../server/engine/ops.ts";
import { createOptimizer, gradientNormName, requireFinite } from "../../server/engine/optimizer.ts";
import { devicesUnderTest } from "./devices.ts";

const adamW: AdamWOptions = {
  learningRate: 0.1,
  beta1: 0.9,
  beta2: 0.999,
  eps: 1e-8,
  weightDecay: 0.01,
  maxGradientNorm: 1,
};

describe.each(devicesUnderTest)("the device on $kind", ({ kind, open }) => {
  let device: Device;
  beforeAll(async () => {
    device = await open();
  });
  afterAll(() => device.close());

  const stateOf = (values: Readonly<Record<string, readonly number[]>>): Promise<StateStore> =>
    device.createState(
      Object.entries(values).map(([name, list]) => ({ name, shape: [list.length], values: Float32Array.from(list) })),
    );

  it("lets programs that share a state see each other's updates, in the order of their calls", async () => {
    const store = await stateOf({ w: [1, 2] });
    const w = ops.state("w", [2]);
    const increment = await device.compile({
      stores: [store],
      outputs: { before: w },
      updates: [{ kind: "accumulate", target: w, value: ops.fill([2], 1) }],
    });
    const twice = await device.compile({
      stores: [store],
      outputs: {},
      updates: [{ kind: "assign", target: w, value: ops.affine(w, 2) }],
    });
    const read = await device.compile({ stores: [store], outputs: { w } });
    const calls = [increment.run({}), twice.run({}), read.run({}), increment.run({}), read.run({})];
    const results = await Promise.all(calls);
    expect(results.map((result) => [...(Object.values(result)[0] ?? [])])).toEqual([
      [1, 2],
      [],
      [4, 6],
      [4, 6],
      [5, 7],
    ]);
    expect(await store.read("w")).toEqual(Float32Array.of(5, 7));
  });

  it("computes the same with frozen weights, which a device may have copied", async () => {
    const store = await device.createState([
      { name: "w", shape: [3, 2], values: Float32Array.of(1, -2, 3, 0.5, 5, 6) },
    ]);
    const outputs = { y: ops.gelu(ops.matmul(ops.input("x", [2, 3]), ops.state("w", [3, 2]))) };
    const [live, frozen] = await Promise.all([
      device.compile({ stores: [store], outputs }),
      device.compile({ stores: [store], outputs, frozen: [store] }),
    ]);
    const inputs = { x: Float32Array.of(0.1, 0.2, 0.3, -1, 0, 1) };
    const first = await live.run(inputs);
    expect(await frozen.run(inputs)).toEqual(first);
    await store.write("w", new Float32Array(6));
    expect((await live.run(inputs))["y"]).toEqual(new Float32Array(4));
    // The CPU bakes them into the program.
    if (kind === "cpu") expect(await frozen.run(inputs)).toEqual(first);
  });

  it("accumulates gradients of small batches to those of one large batch", async () => {
    const rows = [0.5, -1, 2, 1.5, 0.25, -0.75, 3, 1];
    const goals = [1, -1, 0.5, 2];
    const lossOf = (count: number, name: string): Node => {
      const error = ops.sub(
        ops.matmul(ops.input("x", [count, 2]), ops.reshape(ops.state(name, [2]), [2, 1])),
        ops.input("goal", [count, 1]),
      );
      return ops.mean(ops.square(error));
    };
    const step = async (store: StateStore, count: number, gradient: Node, accumulated: boolean): Promise<void> => {
      const optimizer = await createOptimizer(device, [{ name: "w", shape: [2] }]);
      const [firstMoment, secondMoment] = [ops.state("w.m", [2]), ops.state("w.v", [2])];
      const update = optimizer.update(ops.sum(ops.state("w", [2])));
      if (update.kind !== "adamW") throw new TypeError("the optimizer's update is no AdamW");
      const entry = { name: "w", parameter: ops.state("w", [2]), firstMoment, secondMoment };
      const sum = ops.state("sum", [2]);
      const apply = {
        ...update,
        parameters: [{ ...entry, gradient: accumulated ? ops.affine(sum, count / 4) : gradient }],
      };
      const stores = [store, optimizer.store];
      if (accumulated) {
        const collect = await device.compile({
          stores,
          outputs: {},
          updates: [{ kind: "accumulate", target: sum, value: gradient }],
        });
        for (let at = 0; at < 4; at += count)
          await collect.run({
            x: Float32Array.from(rows.slice(2 * at, 2 * (at + count))),
            goal: Float32Array.from(goals.slice(at, at + count)),
          });
      }
      const program = await device.compile({ stores, outputs: {}, updates: [apply] });
      const batch = accumulated ? {} : { x: Float32Array.from(rows), goal: Float32Array.from(goals) };
      await program.run({ ...batch, ...optimizer.inputsAt(1, adamW) });
    };
    const gradientOf = (count: number): Node => {
      const loss = lossOf(count, "w");
      const w = topologicalOrder([loss]).find(({ op }) => op === "state");
      return gradients(loss, w === undefined ? [] : [w])[0] ?? loss;
    };
    const whole = await stateOf({ w: [0.3, -0.2] });
    await step(whole, 4, gradientOf(4), false);
    const parts = await stateOf({ w: [0.3, -0.2], sum: [0, 0] });
    await step(parts, 2, gradientOf(2), true);
    const [expected, got] = [await whole.read("w"), await parts.read("w")];
    expect(expected[0]).not.toBeCloseTo(0.3, 3);
    for (const at of [0, 1]) expect(got[at]).toBeCloseTo(expected[at] ?? Number.NaN, 6);
  });

  it("gives out, adds and steps with what is a constant or an input as it stands", async () => {
    const store = await stateOf({ w: [1, 2] });
    const constant = await device.compile({
      stores: [],
      outputs: { c: ops.constant([2], Float32Array.of(5, 6)), f: ops.fill([3], 2) },
    });
    expect(await constant.run({})).toEqual({ c: Float32Array.of(5, 6), f: Float32Array.of(2, 2, 2) });
    const [w, x] = [ops.state("w", [2]), ops.input("x", [2])];
    const add = await device.compile({
      stores: [store],
      outputs: { x },
      updates: [{ kind: "accumulate", target: w, value: x }],
    });
    expect(await add.run({ x: Float32Array.of(10, 20) })).toEqual({ x: Float32Array.of(10, 20) });
    expect(await store.read("w")).toEqual(Float32Array.of(11, 22));
    const optimizer = await createOptimizer(device, [{ name: "w", shape: [2] }]);
    const loss = ops.sum(ops.mul(w, x));
    const step = await device.compile({
      stores: [store, optimizer.store],
      outputs: {},
      updates: [optimizer.update(loss)],
    });
    const results = await step.run({ x: Float32Array.of(3, -4), ...optimizer.inputsAt(1, adamW) });
    expect(results[gradientNormName]).toEqual(Float32Array.of(5));
  });

  it("ends at the same bytes on a device of its own, also when everything was saved and put back on the way", async () => {
    const shapes = { table: [7, 5], gamma: [5], beta: [5] } as const;
    const parameters = Object.entries(shapes).map(([name, shape]) => ({ name, shape }));
    const hidden = ops.layerNorm(
      ops.embedding(ops.state("table", shapes.table), ops.input("ids", [6], "i32")),
      ops.state("gamma", shapes.gamma),
      ops.state("beta", shapes.beta),
      1e-5,
    );
    const logits = ops.matmul(hidden, ops.state("table", shapes.table), { transB: true });
    const loss = ops.crossEntropy(logits, ops.input("targets", [6], "i32"), ops.fill([6], 1));
    type Saved = Readonly<Record<string, Float32Array>>;
    const train = async (from: number, to: number, saved: Saved): Promise<Saved> => {
      const own = await open();
      const values = (name: string): Float32Array | undefined => saved[name]?.slice();
      const store = await own.createState(
        parameters.map((parameter) => ({ ...parameter, values: values(parameter.name) })),
      );
      const optimizer = await createOptimizer(own, parameters);
      for (const name of optimizer.store.names) {
        const before = values(name);
        if (before !== undefined) await optimizer.store.write(name, before);
      }
      const stores = [store, optimizer.store];
      const program = await own.compile({ stores, outputs: { loss }, updates: [optimizer.update(loss)] });
      const batch = { ids: Int32Array.of(1, 2, 1, 6, 0, 1), targets: Int32Array.of(2, 1, 6, 0, 1, 3) };
      for (let step = from; step <= to; step++) await program.run({ ...batch, ...optimizer.inputsAt(step, adamW) });
      const found: [string, Float32Array][] = [];
      for (const held of stores)
        for (const name of held.names) found.push([name, Float32Array.from(await held.read(name))]);
      await own.close();
      return Object.fromEntries(found);
    };
    const start = {
      table: Float32Array.from({ length: 35 }, (_, at) => Math.sin(at)),
      gamma: new Float32Array(5).fill(1),
    };
    const whole = await train(1, 4, start);
    expect(whole["table"]).not.toEqual(start.table);
    expect(await train(1, 4, start)).toEqual(whole);
    expect(await train(3, 4, await train(1, 2, start))).toEqual(whole);
  });

  it("leaves everything as it was when a gradient is not finite, and names step and tensor", async () => {
    const store = await stateOf({ good: [1, 2], bad: [3, 4] });
    const optimizer = await createOptimizer(device, [
      { name: "good", shape: [2] },
      { name: "bad", shape: [2] },
    ]);
    const loss = ops.add(
      ops.sum(ops.square(ops.state("good", [2]))),
      ops.sum(ops.mul(ops.state("bad", [2]), ops.input("x", [2]))),
    );
    const program = await device.compile({
      stores: [store, optimizer.store],
      outputs: { loss },
      updates: [optimizer.update(loss)],
    });
    const run = (step: number, x: readonly number[]) =>
      program.run({ x: Float32Array.from(x), ...optimizer.inputsAt(step, adamW) });
    await run(1, [1, -1]);
    const everything = async () => ({
      good: await store.read("good"),
      bad: await store.read("bad"),
      ...Object.fromEntries(
        await Promise.all(optimizer.store.names.map(async (name) => [name, await optimizer.store.read(name)])),
      ),
    });
    const before = await everything();
    expect(before["bad.m"]).not.toEqual(new Float32Array(2));
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const error = await run(2, [1, value]).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(NonFiniteError);
      expect(error).toMatchObject({ code: "non-finite", tensor: "the gradient of bad", step: 2, value });
      expect(await everything()).toEqual(before);
    }
    const { [gradientNormName]: norm = [] } = await run(2, [1, 1]);
    expect(norm[0]).toBeGreaterThan(0);
    expect(await everything()).not.toEqual(before);
  });

  it("says which reported number is not finite", () => {
    expect(requireFinite("loss", 3, Float32Array.of(1.5))).toBe(1.5);
    expect(() => requireFinite("loss", 3, Float32Array.of(Number.NaN))).toThrow(
      "step 3: loss is NaN; the step was not applied",
    );
    expect(() => requireFinite("loss", 3, undefined)).toThrow(NonFiniteError);
  });

  it("adds rows at their ids as an output of its own and in the middle of a graph", async () => {
    const store = await device.createState([
      { name: "base", shape: [3, 2], values: Float32Array.of(1, 1, 2, 2, 3, 3) },
    ]);
    const ids = ops.input("ids", [4], "i32");
    const rows = ops.input("rows", [4, 2]);
    const onto = ops.scatterAddRows(ops.state("base", [3, 2]), ids, rows);
    const fromZero = ops.scatterAddRows(ops.fill([3, 2], 0), ids, rows);
    const inputs = { ids: Int32Array.of(2, 0, 2, 2), rows: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8) };
    const expected = Float32Array.of(4, 5, 2, 2, 16, 19);
    const terminal = await device.compile({ stores: [store], outputs: { onto, fromZero } });
    const inside = await device.compile({ stores: [store], outputs: { twice: ops.affine(onto, 2) } });
    expect(await terminal.run(inputs)).toEqual({ onto: expected, fromZero: Float32Array.of(3, 4, 0, 0, 13, 16) });
    expect((await inside.run(inputs))["twice"]).toEqual(expected.map((value) => 2 * value));
    // Rows that an earlier run touched are clean again.
    const other = { ids: Int32Array.of(1, 1, 1, 1), rows: new Float32Array(8).fill(1) };
    expect((await terminal.run(other))["fromZero"]).toEqual(Float32Array.of(0, 0, 4, 4, 0, 0));
    expect(await store.read("base")).toEqual(Float32Array.of(1, 1, 2, 2, 3, 3));
  });

  it("refuses ids outside the table they are looked up in, wherever they are used", async () => {
    const store = await device.createState([{ name: "table", shape: [5, 4], values: new Float32Array(20) }]);
    const ids = ops.input("ids", [1, 2], "i32");
    const table = ops.state("table", [5, 4]);
    const x = ops.reshape(ops.embedding(table, ids), [1, 2, 1, 4]);
    const uses: Readonly<Record<string, readonly [Node, largest: number]>> = {
      embedding: [ops.embedding(table, ids), 4],
      scatterAddRows: [ops.scatterAddRows(table, ids, ops.embedding(table, ids)), 4],
      rotary: [ops.rotary(ops.affine(x, 2), ids, { rotaryDims: 2, base: 10_000, maxPositions: 3 }), 2],
      gatherLogProbs: [ops.gatherLogProbs(ops.matmul(ops.fill([2, 5], 1), table), ops.reshape(ids, [2])), 3],
      embeddingBag: [ops.embeddingBag(table, ids, ops.fill([1, 2], 1)), 4],
      gatherRow: [ops.gatherRow(ops.slice(table, 0, 0, 1), ids), 3],
    };
    for (const [name, [node, largest]] of Object.entries(uses)) {
      const program = await device.compile({ stores: [store], outputs: { [name]: node } });
      await expect(program.run({ ids: Int32Array.of(0, largest) }), name).resolves.toBeDefined();
      for (const bad of [-1, largest + 1, 2 ** 31 - 1]) {
        const error = await program.run({ ids: Int32Array.of(0, bad) }).catch((thrown: unknown) => thrown);
        expect(error, name).toBeInstanceOf(InputMismatchError);
        expect(String(error), name).toContain(
          `input 'ids': got id ${bad} at place 1; expected ids from 0 to ${largest}`,
        );
      }
    }
  });

  it("names an input that is missing, too short or of the wrong kind", async () => {
    const program = await device.compile({ stores: [], outputs: { y: ops.relu(ops.input("x", [3])) } });
    await expect(program.run({})).rejects.toThrow("input 'x': got nothing; expected 3 f32 values");
    await expect(program.run({ x: new Float32Array(2) })).rejects.toThrow(
      "input 'x': got 2 f32 values; expected 3 f32 values",
    );
    await expect(program.run({ x: new Int32Array(3) })).rejects.toThrow(
      "input 'x': got 3 i32 values; expected 3 f32 values",
    );
    await program.dispose();
    await expect(program.run({ x: new Float32Array(3) })).rejects.toThrow(DeviceError);
  });

  it("names state that is missing, of another size, or already gone", async () => {
    const store = await stateOf({ w: [1, 2] });
    await expect(store.read("v")).rejects.toThrow("no state 'v' in the program's stores");
    await expect(store.write("w", new Float32Array(3))).rejects.toThrow("input 'w': got 3 values; expected 2");
    const outputs = { y: ops.square(ops.state("w", [3])) };
    await expect(device.compile({ stores: [store], outputs })).rejects.toThrow(
      "state 'w' holds f32[2] but the program reads f32[3]",
    );
    await expect(device.compile({ stores: [], outputs })).rejects.toThrow("no state 'w' in the program's stores");
    await store.dispose();
    await expect(store.read("w")).rejects.toThrow(DeviceError);
  });

  it("refuses a cache place that does not fit", async () => {
    const store = await device.createState([{ name: "cache", shape: [1, 1, 4, 2], values: undefined }]);
    const program = await device.compile({
      stores: [store],
      outputs: {},
      updates: [
        {
          kind: "writeAt",
          target: ops.state("cache", [1, 1, 4, 2]),
          value: ops.affine(ops.input("rows", [1, 1, 2, 2]), 2),
          start: ops.input("start", [1], "i32"),
        },
      ],
    });
    const rows = Float32Array.of(1, 2, 3, 4);
    await program.run({ rows, start: Int32Array.of(2) });
    expect(await store.read("cache")).toEqual(Float32Array.of(0, 0, 0, 0, 2, 4, 6, 8));
    for (const start of [-1, 3])
      await expect(program.run({ rows, start: Int32Array.of(start) })).rejects.toThrow("do not fit a cache of 4");
    expect(await store.read("cache")).toEqual(Float32Array.of(0, 0, 0, 0, 2, 4, 6, 8));
  });

  it("answers nothing once it is closed, and takes no state of another device", async () => {
    const other = await open();
    const store = await other.createState([{ name: "w", shape: [1], values: undefined }]);
    const outputs = { y: ops.square(ops.state("w", [1])) };
    const program = await other.compile({ stores: [store], outputs });
    const pending = program.run({}).catch((error: unknown) => expect(error).toBeInstanceOf(DeviceError));
    await other.close();
    // Answered or refused, but never left waiting.
    await pending;
    await expect(program.run({})).rejects.toThrow("the device was closed");
    await expect(store.read("w")).rejects.toThrow("the device was closed");
    await expect(other.createState([])).rejects.toThrow("the device was closed");
    await expect(other.compile({ stores: [], outputs: { y: ops.fill([1], 1) } })).rejects.toThrow(
      "the device was closed",
    );
    const foreign: StateStore = { names: [], read: store.read, write: store.write, dispose: store.dispose };
    await expect(device.compile({ stores: [foreign], outputs })).rejects.toThrow("a state store of another device");
  });
});
