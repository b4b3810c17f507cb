/** What goes wrong on a GPU is an error with a name, never zeros: Dawn drops work that it finds invalid and goes on. */
import { describe, expect, it } from "vitest";
import { defineKernel } from "../../../kernels/wgsl.ts";
import { gpuIsHere } from "../../../test/conformance/devices.ts";
import { modelFolder } from "../../../test/conformance/fixtures.ts";
import { loadModel } from "../../models/checkpoint.ts";
import { DeviceError } from "../errors.ts";
import type { Node } from "../graph.ts";
import * as ops from "../ops.ts";
import { createOptimizer } from "../optimizer.ts";
import { matmulAdapterOf, openAdapter } from "./adapter.ts";
import { GpuContext } from "./context.ts";
import { createGpuDevice } from "./device.ts";
import { planProgram } from "./planner.ts";
import { GpuProgram } from "./program.ts";
import { GpuStateStore } from "./state.ts";

describe.skipIf(!gpuIsHere)("a GPU that fails", () => {
  it("refuses what its memory does not hold, with the sum, before it allocates anything, and goes on", async () => {
    const device = await createGpuDevice({ memory: async () => ({ bytes: 2 ** 20, source: "a test" }) });
    const large = { name: "w", shape: [512, 1024], values: undefined };
    await expect(device.createState([large])).rejects.toThrow(
      "the GPU's memory does not suffice: 2 MiB are needed (weights 2 MiB) and nothing is held, 2 MiB of 1 MiB (a test): take a smaller model; where a run tunes one, train adapters (lora in its tuning's settings)",
    );
    const x = ops.input("x", [4]);
    const wide = ops.broadcastTo(ops.reshape(x, [4, 1]), [4, 100_000]);
    const outputs = { y: ops.softmax(wide) };
    await expect(device.compile({ stores: [], outputs })).rejects.toThrow(
      /: 4.6 MiB are needed \(activations 3.1 MiB, results 1.5 MiB, inputs 256 bytes\) and nothing is held, 4.6 MiB of 1 MiB \(a test\): take a smaller batch/,
    );
    const held = await device.createState([{ name: "m", shape: [200, 1024], values: undefined }], "moments");
    await expect(device.createState([{ name: "w", shape: [64, 1024], values: undefined }])).rejects.toThrow(
      "256 KiB are needed (weights 256 KiB) and 800 KiB are held (moments 800 KiB), 1 MiB of 1 MiB",
    );
    await held.dispose();
    const small = await device.compile({ stores: [], outputs: { y: ops.square(x) } });
    expect((await small.run({ x: Float32Array.of(1, 2, 3, 4) }))["y"]).toEqual(Float32Array.of(1, 4, 9, 16));
    await device.close();
  });

  it("refuses what one buffer does not hold", async () => {
    const device = await createGpuDevice();
    const huge = { name: "embedding", shape: [2 ** 16, 2 ** 15], values: undefined };
    await expect(device.createState([huge])).rejects.toThrow(
      /'embedding' \[65536, 32768\] takes 8 GiB, but a buffer of this GPU holds/,
    );
    await device.close();
  });

  it("refuses by name a weight, a result and a moment larger than a buffer of an adapter with small buffers", async () => {
    // The embedding takes 12,416 bytes, more than any other weight.
    const loaded = async (maxBufferBytes: number) => {
      const device = await createGpuDevice({ maxBufferBytes });
      const model = loadModel(device, modelFolder("gpt-neox"));
      await model.catch(() => device.close());
      return { device, model: await model };
    };
    await expect(loaded(8192)).rejects.toThrow(
      /'gpt_neox\.embed_in\.weight' \[97, 32\] takes 12 KiB, but a buffer of this GPU holds 8 KiB at most: compute on the CPU, or take a model with a smaller vocabulary/,
    );
    const { device, model } = await loaded(12_544);
    const x = ops.input("x", [64, 64]);
    await expect(device.compile({ stores: [], outputs: { y: ops.softmax(x) } })).rejects.toThrow(
      /input 'x' \[64, 64\] of the kernel 'softmax' takes 16 KiB, but one tensor of this GPU holds 12 KiB at most: take a smaller batch/,
    );
    const large = { name: "moment.m", shape: [64, 64], values: undefined };
    await expect(device.createState([large], "moments")).rejects.toThrow(/'moment\.m' \[64, 64\] takes 16 KiB/);
    const optimizer = await createOptimizer(device, model.parameters);
    expect(optimizer.parameters.length).toBe(model.parameters.length);
    await device.close();
  });

  it("refuses a kernel that would bind more windows than the GPU binds, with its name and the tensors'", async () => {
    const device = await createGpuDevice({ maxBindingBytes: 256 });
    const x = ops.input("x", [40, 64]);
    await expect(device.compile({ stores: [], outputs: { y: ops.softmax(x) } })).rejects.toThrow(
      /the kernel 'softmax' cannot reach all of input 'x' \[40, 64\] of 10 KiB, the tensor \[40, 64\] of 10 KiB: this GPU binds 256 bytes at once, so that 80 bindings are needed, and it has \d+: take a smaller batch/,
    );
    const small = await device.compile({ stores: [], outputs: { y: ops.square(ops.input("few", [3, 64])) } });
    await expect(small.run({ few: new Float32Array(192) })).resolves.toBeDefined();
    await device.close();
  });

  it("gives memory back", async () => {
    const { context, store, program } = await open();
    const before = context.memory.heldBytes;
    const other = await program();
    expect(context.memory.heldBytes).toBeGreaterThan(before);
    await other.dispose();
    expect(context.memory.heldBytes).toBe(before);
    await store.dispose();
    expect(context.memory.heldBytes).toBe(0);
    await context.close();
  });

  it("that is lost in the middle of a step says so, there and from then on", async () => {
    const { context, store, program } = await open();
    const step = await program();
    const running = step.run({ x: Float32Array.of(1, 2) });
    const failed = expect(running).rejects.toThrow(
      /the GPU was lost \(.+, in work whose longest kernel is 'fused add'\); what it held is gone/,
    );
    await new Promise((resolve) => setImmediate(resolve));
    context.device.destroy();
    await failed;
    await expect(step.run({ x: Float32Array.of(1, 2) })).rejects.toThrow(DeviceError);
    await expect(store.read("w")).rejects.toThrow("the GPU was lost");
    await context.close();
  });

  it("names a kernel that its compiler refuses, and goes on with others", async () => {
    const { context, program } = await open();
    const broken = defineKernel({ name: "broken", bindings: [], size: 1, body: "let x: f32 = 1u;" });
    await expect(context.pipeline(broken)).rejects.toThrow(/refused the kernel 'broken': .*error/);
    const tooWide = defineKernel({ name: "too wide", bindings: [], size: 2 ** 20, body: "" });
    await expect(context.pipeline(tooWide)).rejects.toThrow(/refused the kernel 'too wide'/);
    const step = await program();
    expect((await step.run({ x: Float32Array.of(1, 2) }))["y"]).toEqual(Float32Array.of(4, 6));
    await context.close();
  });

  it("that drops a submit, with an error or without, gives no results", async () => {
    const { context, program } = await open();
    const step = await program();
    const { queue } = context.device;
    const submit = queue.submit.bind(queue);
    queue.submit = () => undefined;
    await expect(step.run({ x: Float32Array.of(1, 2) })).rejects.toThrow("dropped a submit without an error");
    queue.submit = submit;
    expect((await step.run({ x: Float32Array.of(1, 2) }))["y"]).toEqual(Float32Array.of(4, 6));
    const encoder = context.device.createCommandEncoder();
    encoder.beginComputePass();
    queue.submit([encoder.finish()]);
    await expect(step.run({ x: Float32Array.of(1, 2) })).rejects.toThrow(/the GPU refused work: .+/);
    await context.close();
  });
});

describe.skipIf(!gpuIsHere)("work that is long", () => {
  const size = 5 * 256;
  const x = ops.input("x", [size]);
  const values = Float32Array.from({ length: size }, (_, at) => at);

  it("is given to the GPU in short dispatches and submits, with the same results", async () => {
    const context = new GpuContext(await openAdapter(), { workLimits: { dispatch: 8 * 2 * 4 * 512, submit: 1 } });
    const { step, submits } = await counted(context, { y: ops.square(x), sum: ops.sum(x) });
    const { y, sum } = await step.run({ x: values });
    expect(y).toEqual(values.map((value) => value * value));
    expect(sum).toEqual(Float32Array.of((size * (size - 1)) / 2));
    // Three slices of two of the five groups that square, and the sum in one.
    expect(submits()).toBe(4);
    await context.close();
  });

  it("that is short is one submit", async () => {
    const context = new GpuContext(await openAdapter());
    const { step, submits } = await counted(context, { y: ops.square(x), sum: ops.sum(x) });
    await step.run({ x: values });
    expect(submits()).toBe(1);
    await context.close();
  });

  it.each([1, 2, 3, 4])("gives no results when submit %i of four is dropped without an error", async (dropped) => {
    const context = new GpuContext(await openAdapter(), { workLimits: { dispatch: 8 * 2 * 4 * 512, submit: 1 } });
    const { step, drop } = await counted(context, { y: ops.square(x), sum: ops.sum(x) });
    await step.run({ x: values });
    drop(4 + dropped);
    await expect(step.run({ x: values })).rejects.toThrow("dropped a submit without an error");
    expect((await step.run({ x: values }))["sum"]).toEqual(Float32Array.of((size * (size - 1)) / 2));
    await context.close();
  });
});

/** A program whose submits are counted, of which one can be dropped. */
async function counted(context: GpuContext, outputs: Readonly<Record<string, Node>>) {
  const plan = planProgram({ outputs }, { adapter: matmulAdapterOf(context), precision: "f32", tuned: {} });
  const step = await GpuProgram.create(context, plan, []);
  const { queue } = context.device;
  const submit = queue.submit.bind(queue);
  let [submits, dropped] = [0, 0];
  queue.submit = (buffers) => {
    submits += 1;
    if (submits !== dropped) submit(buffers);
  };
  return {
    step,
    submits: () => submits,
    drop: (number: number) => {
      dropped = number;
    },
  };
}

/** w [2] = (3, 4), and a program for y = x + w. */
async function open(): Promise<{ context: GpuContext; store: GpuStateStore; program: () => Promise<GpuProgram> }> {
  const opened = await openAdapter();
  const context = new GpuContext(opened);
  const store = await GpuStateStore.create(context, [{ name: "w", shape: [2], values: Float32Array.of(3, 4) }]);
  const y = ops.add(ops.input("x", [2]), ops.state("w", [2]));
  const plan = planProgram({ outputs: { y } }, { adapter: matmulAdapterOf(opened), precision: "f32", tuned: {} });
  return { context, store, program: () => GpuProgram.create(context, plan, [store]) };
}
