import * as ort from "onnxruntime-node";
import { describe, expect, it, vi } from "vitest";
import { createCpuDevice } from "../../server/engine/cpu/device.ts";
import { CpuExecutor } from "../../server/engine/cpu/executor.ts";
import { planProgram } from "../../server/engine/cpu/planner.ts";
import { runtimeKinds } from "../../server/engine/cpu/runtime.ts";
import { openNodeRuntime } from "../../server/engine/cpu/runtime-node.ts";
import { openRuntime } from "../../server/engine/cpu/runtimes.ts";
import { dump } from "../../server/engine/dump.ts";
import { InvalidGraphError } from "../../server/engine/errors.ts";
import { gradients } from "../../server/engine/gradients.ts";
import { type Node, topologicalOrder } from "../../server/engine/graph.ts";
import * as ops from "../../server/engine/ops.ts";
import { simplify } from "../../server/engine/simplify.ts";
import { verify } from "../../server/engine/verify.ts";

describe("building a graph", () => {
  it("names both operands, with their shapes, where they do not fit", () => {
    const x = ops.input("x", [2, 3]);
    const w = ops.state("w", [4, 5]);
    expect(() => ops.matmul(x, w)).toThrow(
      /matmul: got input 'x' \[2, 3\] and state 'w' \[4, 5\]; expected inner extents/,
    );
    expect(() => ops.add(x, ops.relu(w))).toThrow(
      /add: got input 'x' \[2, 3\] and relu \[4, 5\]; expected shapes that broadcast/,
    );
    expect(() => ops.embedding(w, x)).toThrow(
      /embedding: got state 'w' \[4, 5\] and input 'x' \[2, 3\]; expected .* i32 ids/,
    );
  });

  it("is checked again before it is lowered, and the bad node is named", () => {
    const x = ops.input("x", [2, 3]);
    const sum = ops.add(x, x);
    const wrong: Node = { ...sum, shape: [3, 2] };
    const tail = ops.relu(ops.transpose(wrong, [1, 0]));
    expect(() => verify([ops.relu(sum)])).not.toThrow();
    expect(() => verify([tail])).toThrow(InvalidGraphError);
    expect(() => verify([tail])).toThrow(
      "invalid graph at %1 f32[3, 2] = add(%0, %0): is marked [3, 2] but its inputs make [2, 3]",
    );
    expect(() => planProgram({ outputs: { tail } })).toThrow("invalid graph at %1 f32[3, 2] = add(%0, %0)");
  });

  it("allows one meaning for a name, whole extents and no NaN", () => {
    const x = ops.input("x", [2]);
    expect(() => verify([x, ops.input("x", [3])])).toThrow("the name 'x' already stands for input f32[2]");
    expect(() => verify([x, ops.state("x", [2])])).toThrow("the name 'x' already stands for input f32[2]");
    expect(() => verify([ops.input("y", [2, 0])])).toThrow("whole numbers of at least 1");
    expect(() => verify([ops.affine(x, Number.NaN)])).toThrow("attribute mul is NaN");
    const i32: Node = { ...ops.relu(x), dtype: "i32" };
    expect(() => verify([i32])).toThrow("is marked i32 but its inputs make f32");
  });

  it("can be read", () => {
    const ids = ops.input("ids", [4], "i32");
    const hidden = ops.layerNorm(
      ops.embedding(ops.state("table", [7, 3]), ids),
      ops.fill([3], 1),
      ops.state("beta", [3]),
      1e-5,
    );
    const scores = ops.softmax(ops.matmul(hidden, hidden, { transB: true, alpha: 0.5 }), "causal");
    const mixed = ops.mul(scores, ops.constant([4], Float32Array.of(1, 2, 3, 4)));
    expect(dump([ops.sum(mixed), hidden])).toMatchInlineSnapshot(`
      "%0 f32[7, 3] = state() {name: table}
      %1 i32[4] = input() {name: ids}
      %2 f32[4, 3] = embedding(%0, %1)
      %3 f32[3] = fill() {value: 1}
      %4 f32[3] = state() {name: beta}
      %5 f32[4, 3] = layerNorm(%2, %3, %4) {eps: 0.00001}
      %6 f32[4, 4] = matmul(%5, %5) {transA: false, transB: true, alpha: 0.5}
      %7 f32[4, 4] = softmax(%6) {mask: causal, window: 0}
      %8 f32[4] = constant() {values: [1, 2, 3, 4]}
      %9 f32[4, 4] = mul(%7, %8)
      %10 f32[] = sum(%9) {axes: [0, 1], keepDims: false}
      return %10, %5"
    `);
  });

  it("is computed once where it says the same thing twice", () => {
    const branch = (): Node => ops.relu(ops.affine(ops.state("w", [3]), 2, 1));
    const [once, again] = simplify([ops.add(branch(), ops.affine(branch(), 1, 0)), branch()]);
    expect(topologicalOrder([once ?? ops.fill([], 0)]).map(({ op }) => op)).toEqual(["state", "affine", "relu", "add"]);
    expect(once?.inputs).toEqual([again, again]);
    const [different] = simplify([ops.add(ops.affine(ops.state("w", [3]), 2), ops.affine(ops.state("w", [3]), 3))]);
    expect(different?.inputs[0]).not.toBe(different?.inputs[1]);
  });

  it("has no gradient past an operator that is not smooth", () => {
    const x = ops.state("x", [3]);
    expect(() => gradients(ops.sum(ops.greater(x, ops.fill([], 0))), [x])).toThrow("greater has no gradient");
    expect(() => gradients(x, [x])).toThrow("the loss must be one number");
  });

  it("takes a state or an input for all nodes of its name, and refuses one of another shape", async () => {
    const device = await createCpuDevice({ threads: 1 });
    try {
      const store = await device.createState([{ name: "w", shape: [2], values: Float32Array.of(3, -4) }]);
      const [w, x] = [() => ops.state("w", [2]), () => ops.input("x", [2])];
      // sum(w w x + x): d/dw = 2 w x, d/dx = w w + 1, although no two uses share a node.
      const loss = ops.sum(ops.add(ops.mul(ops.mul(w(), w()), x()), x()));
      const [dw = loss, dx = loss, none = loss] = gradients(loss, [w(), x(), ops.state("other", [1])]);
      const program = await device.compile({ stores: [store], outputs: { dw, dx, none } });
      const found = await program.run({ x: Float32Array.of(5, 7) });
      expect(found).toEqual({
        dw: Float32Array.of(30, -56),
        dx: Float32Array.of(10, 17),
        none: Float32Array.of(0),
      });
      expect(() => gradients(loss, [ops.state("w", [3])])).toThrow(
        "gradients for state 'w' [3]: in the graph it is [2]",
      );
    } finally {
      await device.close();
    }
  });
});

describe("the CPU executor", () => {
  it("has ONNX Runtime write results into the executor's own memory, without a copy", async () => {
    const create = vi.spyOn(ort.InferenceSession, "create");
    const executor = new CpuExecutor({ runtime: await openNodeRuntime(), threads: 1 });
    const store = executor.createState([{ name: "w", shape: [3, 2], values: Float32Array.of(1, 2, 3, 4, 5, 6) }]);
    const y = ops.matmul(ops.input("x", [2, 3]), ops.state("w", [3, 2]));
    const program = await executor.compile(planProgram({ outputs: { y } }), [store]);
    const session = await create.mock.results[0]?.value;
    const native = session.run.bind(session);
    const seen: { heap: unknown; before: number[]; after: number[] }[] = [];
    vi.spyOn(session, "run").mockImplementation(async (...args: unknown[]) => {
      const [feeds, fetches] = args as [Record<string, ort.Tensor>, Record<string, ort.Tensor>];
      const [fetch] = Object.values(fetches);
      const [place, weights] = [fetch?.data, feeds["state:w"]?.data];
      if (!(place instanceof Float32Array)) throw new TypeError("no buffer was given for the result");
      place.fill(-7);
      const before = [...place];
      const results = await native(feeds, fetches);
      // Read before the executor goes on, so that nobody but ONNX Runtime can have put it there.
      seen.push({
        heap: weights instanceof Float32Array && weights.buffer === place.buffer,
        before,
        after: [...place],
      });
      return results;
    });
    const results = await executor.run(program, { x: Float32Array.of(1, 0, 0, 0, 1, 1) });
    vi.restoreAllMocks();
    expect(seen).toEqual([{ heap: true, before: [-7, -7, -7, -7], after: [1, 2, 8, 10] }]);
    expect(results).toEqual({ y: Float32Array.of(1, 2, 8, 10) });
    await executor.disposeProgram(program);
  });

  it.each(runtimeKinds)(
    "gives back the memory of what is disposed of, and survives its memory's growth, by %s",
    async (kind) => {
      const executor = new CpuExecutor({ runtime: (await openRuntime(kind)).runtime, threads: 1 });
      const before = executor.usedBytes;
      const store = executor.createState([{ name: "w", shape: [2], values: Float32Array.of(3, 4) }]);
      const program = await executor.compile(planProgram({ outputs: { y: ops.square(ops.state("w", [2])) } }), [store]);
      expect((await executor.run(program, {}))["y"]).toEqual(Float32Array.of(9, 16));
      const large = executor.createState([{ name: "large", shape: [16, 1024, 1024], values: undefined }]);
      expect((await executor.run(program, {}))["y"]).toEqual(Float32Array.of(9, 16));
      for (const id of [store, large]) executor.disposeState(id);
      await executor.disposeProgram(program);
      expect(executor.usedBytes).toBe(before);
      await expect(executor.run(program, {})).rejects.toThrow("the program was disposed of");
    },
  );

  it("says when 4 GiB do not suffice", async () => {
    const executor = new CpuExecutor({ runtime: (await openRuntime()).runtime, threads: 1 });
    const tooLarge = { name: "w", shape: [2 ** 15, 2 ** 15, 2], values: undefined };
    expect(() => executor.createState([tooLarge])).toThrow(
      /needs 8192 MiB more, but one device holds 4096 MiB at most/,
    );
  });
});
