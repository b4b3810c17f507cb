import { readFile } from "node:fs/promises";
import { findPackageJSON } from "node:module";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { DeviceError } from "../errors.ts";
import type { Node } from "../graph.ts";
import * as ops from "../ops.ts";
import { createCpuDevice } from "./device.ts";
import { declaredVersion, loadOrtApi } from "./ort-api.ts";
import type { CpuPlan } from "./plan.ts";
import { planProgram } from "./planner.ts";
import { type ModelSession, RuntimeVariableError, runtimeKinds, wishedRuntime } from "./runtime.ts";
import { openers, openRuntime } from "./runtimes.ts";

describe("the choice of a way to reach ONNX Runtime", () => {
  it("is its C API, which knows the version that is installed", async () => {
    expect((await openRuntime()).choice).toEqual({ kind: "c-api" });
    const manifest = findPackageJSON("onnxruntime-node", import.meta.url) ?? "";
    expect(JSON.parse(await readFile(manifest, "utf8")).version).toBe(declaredVersion);
  });

  it("is its package where the C API cannot be reached, and says why", async () => {
    const broken = { ...openers, "c-api": () => Promise.reject(new Error("no binary for this processor")) };
    const { runtime, choice } = await openRuntime(undefined, broken);
    expect(choice).toEqual({ kind: "onnxruntime-node", reason: "no binary for this processor" });
    const { model = new Uint8Array() } = planOf(ops.square(ops.input("x", [2])));
    const session = await runtime.createSession({ model, external: [], threads: 1 });
    await session.release();
    await expect(openRuntime("c-api", broken)).rejects.toThrow("no binary for this processor");
  });

  it("is what the environment asks for", () => {
    expect(wishedRuntime({})).toBeUndefined();
    expect(wishedRuntime({ LFP_ONNX_RUNTIME: "" })).toBeUndefined();
    expect(wishedRuntime({ LFP_ONNX_RUNTIME: "onnxruntime-node" })).toBe("onnxruntime-node");
    expect(() => wishedRuntime({ LFP_ONNX_RUNTIME: "fast" })).toThrow(RuntimeVariableError);
    expect(() => wishedRuntime({ LFP_ONNX_RUNTIME: "fast" })).toThrow(
      "LFP_ONNX_RUNTIME is 'fast'; expected c-api or onnxruntime-node",
    );
  });

  it("is asked of the device's thread", async () => {
    const device = await createCpuDevice({ threads: 1, runtime: "onnxruntime-node" });
    expect(await device.runtimeChoice()).toEqual({
      kind: "onnxruntime-node",
      reason: "LFP_ONNX_RUNTIME asks for it",
    });
    await device.close();
  });

  it("refuses a library that is missing, is another one, or has another version", async () => {
    await expect(loadOrtApi("/nowhere/libonnxruntime.so.1")).rejects.toThrow("/nowhere/libonnxruntime.so.1");
    const other = fileURLToPath(import.meta.resolve("koffi"));
    await expect(loadOrtApi(other)).rejects.toThrow(/load shared library/);
    await expect(loadOrtApi(undefined, "1.29.0")).rejects.toThrow(/is ONNX Runtime 1\.30\.0; expected 1\.29\.0/);
  });
});

describe.each(runtimeKinds)("a session by %s", (kind) => {
  let session: ModelSession | undefined;
  afterEach(() => session?.release());

  it("reads and writes wherever its values are in this run", async () => {
    const { model = new Uint8Array(), feeds, fetches } = planOf(ops.square(ops.input("x", [2])));
    const { runtime } = await openRuntime(kind);
    session = await runtime.createSession({ model, external: [], threads: 1 });
    const [feed] = feeds;
    const [fetch] = fetches;
    if (feed === undefined || fetch === undefined) throw new Error("the plan lacks a part");
    const square = (x: Float32Array, y: Float32Array): Promise<void> | undefined =>
      session?.run([{ ...feed, values: x }], [{ ...fetch, values: y }]);
    const memory = new Float32Array(12);
    const [x, y] = [memory.subarray(0, 2), memory.subarray(4, 6)];
    x.set([2, 3]);
    await square(x, y);
    expect([...memory]).toEqual([2, 3, 0, 0, 4, 9, 0, 0, 0, 0, 0, 0]);
    x.set([4, 5]);
    await square(x, y);
    expect([...y]).toEqual([16, 25]);
    await square(Float32Array.of(6, 7), memory.subarray(8, 10));
    expect([...memory]).toEqual([4, 5, 0, 0, 16, 25, 0, 0, 36, 49, 0, 0]);
  });
});

describe("failures of ONNX Runtime are the same in both ways, and a device goes on after them", () => {
  it("of a model that it refuses", async () => {
    const messages = await messagesOf(async (kind) => {
      const { runtime } = await openRuntime(kind);
      await runtime.createSession({ model: Uint8Array.of(1, 2, 3), external: [], threads: 1 });
    });
    expect(messages[0]).toMatch(/protobuf/i);
    expect(messages[1]).toBe(messages[0]);
  });

  it.each([
    ["an id outside its table", /indices element out of data bounds/, gathersOutside],
    ["more memory than there is", /allocate/i, allocatesTooMuch],
  ])("of %s", async (_, pattern, fails) => {
    const messages = await messagesOf(async (kind) => {
      const device = await createCpuDevice({ threads: 1, runtime: kind });
      const store = await device.createState([{ name: "w", shape: [2], values: Float32Array.of(3, 4) }]);
      const small = await device.compile({ stores: [store], outputs: { y: ops.square(ops.state("w", [2])) } });
      try {
        const { y, x } = fails();
        const program = await device.compile({ stores: [], outputs: { y } });
        const error = await program.run({ x }).catch((thrown: unknown) => thrown);
        expect(error).toBeInstanceOf(DeviceError);
        expect((await small.run({}))["y"]).toEqual(Float32Array.of(9, 16));
        throw error;
      } finally {
        await device.close();
      }
    });
    expect(messages[0]).toMatch(pattern);
    expect(messages[1]).toBe(messages[0]);
  });
});

function gathersOutside(): { y: Node; x: Float32Array } {
  // Ids that the program computes are not checked before it runs.
  const ids = ops.topKIndices(ops.input("x", [1, 6]), 1);
  return { y: ops.embedding(ops.fill([4, 2], 1), ids), x: Float32Array.of(0, 0, 0, 0, 0, 1) };
}

function allocatesTooMuch(): { y: Node; x: Float32Array } {
  const large = ops.broadcastTo(ops.reshape(ops.input("x", [2]), [2, 1, 1]), [2, 2 ** 20, 2 ** 21]);
  return { y: ops.sum(ops.exp(large)), x: Float32Array.of(1, 2) };
}

async function messagesOf(fails: (kind: (typeof runtimeKinds)[number]) => Promise<void>): Promise<string[]> {
  const messages: string[] = [];
  for (const kind of runtimeKinds) {
    const error = await fails(kind).catch((thrown: unknown) => thrown);
    if (!(error instanceof Error)) throw new Error(`${kind} did not fail`);
    messages.push(error.message);
  }
  return messages;
}

function planOf(y: Node): CpuPlan {
  return planProgram({ outputs: { y } });
}
