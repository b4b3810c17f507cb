/** Kernels against plain loops in double precision, over shapes that fit no workgroup: one element, primes, one more than a power of two. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Random } from "../server/common/random.ts";
import { sampleRows } from "../server/engine/cpu/host.loops.ts";
import { adamWSettings } from "../server/engine/device.ts";
import { expectClose } from "../test/conformance/close-to.ts";
import { adapterHere } from "../test/support/software-gpu.ts";
import { KernelRunner } from "../test/support/webgpu-runner.ts";
import { adamWReference } from "./adamw.loops.ts";
import { adamWBlock, adamWLaunch, normLaunchOf, squaresLaunch } from "./adamw.ts";
import * as bagLoops from "./bags.loops.ts";
import * as bags from "./bags.ts";
import { reduceByInvocationLaunch, reduceByWorkgroupLaunch } from "./elementwise.ts";
import { directMatmulLaunch } from "./matmul/direct.ts";
import { matmulPlaceReference } from "./matmul/reference.loops.ts";
import { normGradXReference, normReference, statisticsReference } from "./norms.loops.ts";
import { normGradXLaunch, normLaunch, normStatisticsLaunch } from "./norms.ts";
import * as rowLoops from "./rows.loops.ts";
import * as rows from "./rows.ts";
import { sampleLaunch } from "./sample.ts";
import { addRowsReference, scatterRowReference } from "./scatter.loops.ts";
import { addLinkedRowsLaunch, linkLaunch, scatterRowLaunch } from "./scatter.ts";
import { applyLaunch, writeAtLaunch } from "./updates.ts";
import { type Launch, plainFragment } from "./wgsl.ts";

const shapes = [
  { rows: 1, columns: 1 },
  { rows: 3, columns: 5 },
  { rows: 2, columns: 33 },
  { rows: 5, columns: 129 },
  { rows: 1, columns: 521 },
] as const;
const tolerance = { absolute: 2e-6, relative: 1e-5 };

describe.skipIf(adapterHere === undefined)("on an adapter", () => {
  let runner: KernelRunner;
  beforeAll(async () => {
    runner = await KernelRunner.open("here");
  });
  afterAll(() => runner.close());

  const check = async (
    launch: Launch,
    given: Readonly<Record<string, Float32Array | Int32Array>>,
    expected: ArrayLike<number>,
  ): Promise<void> => {
    const { y } = await runner.run([{ launch }], { ...given, y: expected.length }, ["y"]);
    expectClose(launch.kernel.name, y, expected, tolerance);
  };

  it.each(shapes)("softmax and log-softmax, both ways: $rows x $columns", async (shape) => {
    const size = shape.rows * shape.columns;
    const [x, dY] = [normals(size, 1, 3), normals(size, 2)];
    const plain = { ...shape, queries: 1, causal: false, window: 0 };
    const probs = Float32Array.from(rowLoops.softmaxReference(x, plain));
    await check(rows.softmaxLaunch(plain), { x }, probs);
    await check(rows.softmaxGradLaunch(shape), { probs, dY }, rowLoops.softmaxGradReference(probs, dY, shape));
    const logP = Float32Array.from(rowLoops.logSoftmaxReference(x, shape));
    await check(rows.logSoftmaxLaunch(shape), { x }, logP);
    await check(rows.logSoftmaxGradLaunch(shape), { logP, dY }, rowLoops.logSoftmaxGradReference(logP, dY, shape));
    const ids = Int32Array.from({ length: shape.rows }, (_, row) => (row * 7) % shape.columns);
    await check(rows.gatherLogProbsLaunch(shape), { x, ids }, rowLoops.gatherLogProbsReference(x, ids, shape));
    const slopes = normals(shape.rows, 3);
    const grad = rowLoops.gatherLogProbsGradReference(x, ids, slopes, shape);
    await check(rows.gatherLogProbsGradLaunch(shape), { x, ids, dY: slopes }, grad);
    const launch = rows.gatherLogProbsInPlaceLaunch(shape);
    const both = await runner.run([{ launch }], { ids, dY: slopes, x, y: shape.rows }, ["x", "y"]);
    expectClose("log-probabilities", both["y"], rowLoops.gatherLogProbsReference(x, ids, shape), tolerance);
    expectClose("slopes", both["x"], grad, tolerance);
  });

  it.each([
    { rows: 1, columns: 1, queries: 1, causal: true, window: 0 },
    { rows: 14, columns: 7, queries: 7, causal: true, window: 0 },
    { rows: 6, columns: 140, queries: 3, causal: true, window: 0 },
    { rows: 14, columns: 7, queries: 7, causal: true, window: 1 },
    { rows: 10, columns: 137, queries: 5, causal: true, window: 20 },
  ])("causal and local softmax: $rows x $columns, $queries queries, window $window", async (shape) => {
    const x = normals(shape.rows * shape.columns, 4, 3);
    await check(rows.softmaxLaunch(shape), { x }, rowLoops.softmaxReference(x, shape));
  });

  it("softmax of large and of masked scores stays finite", async () => {
    const x = Float32Array.of(1000, 999, -1e30, -1e30, -1e30, -1e30);
    const { y } = await runner.run(
      [{ launch: rows.softmaxLaunch({ rows: 2, columns: 3, queries: 1, causal: false, window: 0 }) }],
      { x, y: 6 },
      ["y"],
    );
    expectClose("softmax", y, [1 / (1 + Math.exp(-1)), 1 / (1 + Math.E), 0, 1 / 3, 1 / 3, 1 / 3], tolerance);
  });

  it.each(shapes.flatMap((shape) => [true, false].map((centred) => ({ ...shape, centred }))))(
    "norms: $rows x $columns, centred $centred",
    async ({ centred, ...extents }) => {
      const shape = { ...extents, eps: 1e-5, centred };
      const size = shape.rows * shape.columns;
      const [x, dY] = [normals(size, 5).map((value) => value + 2), normals(size, 6)];
      const [gamma, beta] = [normals(shape.columns, 7), normals(shape.columns, 8)];
      const given = { x, gamma, ...(centred ? { beta } : {}) };
      await check(normLaunch(shape), given, normReference(x, gamma, centred ? beta : undefined, shape));
      // A row of one element has no variance: what its gradient is, rounding decides.
      if (shape.columns > 1)
        await check(normGradXLaunch(shape), { x, gamma, dY }, normGradXReference(x, gamma, dY, shape));
      await check(normStatisticsLaunch(shape), { x }, statisticsReference(x, shape));
    },
  );

  it.each([
    { count: 1, width: 1, V: 1 },
    { count: 70, width: 5, V: 3 },
    { count: 131, width: 67, V: 40 },
  ])("rows added at ids: $count rows of $width into $V", async ({ count, width, V }) => {
    const random = Random.fromSeed(9);
    const ids = Int32Array.from({ length: count }, () => random.integer(V));
    const [table, given] = [normals(V * width, 10), normals(count * width, 11)];
    const steps = [{ launch: linkLaunch(count) }, { launch: addLinkedRowsLaunch(count, width) }];
    const found = await runner.run(steps, { ids, links: count, rows: given, table }, ["table"]);
    expectClose("table", found["table"], addRowsReference(table, ids, given, width), tolerance);
  });

  it.each([
    { rows: 1, each: 1, width: 1, table: 1 },
    { rows: 33, each: 3, width: 5, table: 4 },
    { rows: 97, each: 2, width: 67, table: 40 },
    { rows: 131, each: 9, width: 64, table: 7 },
  ])("bags of $each: $rows rows of $width from $table", async (shape) => {
    const { rows: N, each, width, table: V } = shape;
    const random = Random.fromSeed(N);
    const ids = Int32Array.from({ length: N * each }, () => random.integer(V));
    const [weights, dY, table] = [normals(N * each, 22), normals(N * width, 23), normals(V * width, 24)];
    await check(
      bags.embeddingBagLaunch(shape),
      { table, ids, weights },
      bagLoops.embeddingBagReference(table, ids, weights, shape),
    );
    await check(bags.bagDotsLaunch(shape), { table, ids, dY }, bagLoops.bagDotsReference(table, ids, dY, shape));
    const steps = [bags.clearMarksLaunch, bags.markBagsLaunch, bags.addBagsLaunch].map((launch) => ({
      launch: launch(shape),
    }));
    const given = { ids, weights, dY, marks: new Uint32Array(bags.bagMarks(shape)).fill(7), table };
    const found = await runner.run(steps, given, ["table"]);
    expectClose("table", found["table"], bagLoops.addBagsReference(table, ids, weights, dY, shape), tolerance);
  });

  it("values added at ids within a row, also twice at one", async () => {
    const ids = Int32Array.of(4, 4, 0, 66, 1, 66);
    const values = normals(6, 12);
    await check(scatterRowLaunch(2, 3, 67), { values, ids }, scatterRowReference(values, ids, 3, 67));
  });

  it.each([
    ["sum", 1, 1],
    ["sum", 7, 129],
    ["max", 5, 37],
    ["sum", 2, 1031],
  ] as const)("%s over the columns and over the rows of %i x %i", async (kind, outer, inner) => {
    const x = normals(outer * inner, 13);
    const fragment = {
      ...plainFragment,
      bindings: [{ name: "x", type: "f32", access: "read" } as const],
      result: "x[at]",
    };
    const combine = (values: readonly number[]): number =>
      kind === "max" ? Math.max(...values) : 0.5 * values.reduce((sum, value) => sum + value, 0);
    const scale = kind === "max" ? 1 : 0.5;
    const ofRow = Array.from({ length: outer }, (_, o) => combine(Array.from(x.subarray(o * inner, (o + 1) * inner))));
    const byRow = { kind, outputs: outer, reduced: inner, place: "o * p.reduced + r", scale };
    await check(reduceByWorkgroupLaunch(fragment, byRow, 1), { x }, ofRow);
    const ofColumn = Array.from({ length: inner }, (_, o) =>
      combine(Array.from({ length: outer }, (__, r) => x[r * inner + o] ?? 0)),
    );
    const byColumn = { kind, outputs: inner, reduced: outer, place: "r * p.outputs + o", scale };
    await check(reduceByInvocationLaunch(fragment, byColumn, 1), { x }, ofColumn);
  });

  it("AdamW over blocks of arenas, with moments in one buffer", async () => {
    // Three parameters; the last is longer than a block. Lengths are padded to four, as arenas are.
    const lengths = [4, 12, 4 * adamWBlock + 8];
    const size = lengths.reduce((sum, length) => sum + length, 0);
    const [parameters, gradients, moments] = [normals(size, 14), normals(size, 15, 0.02), normals(2 * size, 16)];
    for (let at = size; at < 2 * size; at++) moments[at] = Math.abs(moments[at] ?? 0);
    const blocks: number[] = [];
    let start = 0;
    for (const length of lengths) {
      for (let at = 0; at < length / 4; at += adamWBlock)
        blocks.push(start + at, start + at, start + at, size / 4 + start + at, Math.min(adamWBlock, length / 4 - at));
      start += length / 4;
    }
    const options = { learningRate: 0.01, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0.1, maxGradientNorm: 0.5 };
    const settings = adamWSettings(options, 3);
    const count = blocks.length / 5;
    const arenas = { parameters: "parameters", gradients: "gradients", first: "moments", second: "moments" };
    const step = adamWLaunch(arenas, count);
    const buffers = {
      gradients,
      blocks: Uint32Array.from(blocks),
      partial: count,
      settings,
      result: 2,
      clipping: 2,
      parameters,
      moments,
    };
    const operands = step.kernel.bindings.map(({ name }) => (name === "clipping" ? "result" : name));
    const steps = [{ launch: squaresLaunch(count) }, { launch: normLaunchOf(count) }, { launch: step, operands }];
    const found = await runner.run(steps, buffers, ["parameters", "moments", "result"]);
    const state = {
      parameters: Float64Array.from(parameters),
      first: Float64Array.from(moments.subarray(0, size)),
      second: Float64Array.from(moments.subarray(size)),
    };
    const norm = adamWReference(state, gradients, settings);
    expectClose("norm", found["result"]?.subarray(0, 1), [norm], tolerance);
    expectClose("parameters", found["parameters"], state.parameters, tolerance);
    expectClose("moments", found["moments"], [...state.first, ...state.second], tolerance);
    const bad = gradients.with(7, Number.NaN);
    const stopped = await runner.run(steps, { ...buffers, gradients: bad }, ["parameters", "moments"]);
    expect(stopped).toEqual({ parameters, moments });
  });

  it("writes to state", async () => {
    const [to, value] = [normals(70, 17), normals(70, 18)];
    const free = { guarded: false, sharesBuffer: false };
    const added = await runner.run([{ launch: applyLaunch("accumulate", "f32", 70, free) }], { to, value }, ["to"]);
    expect(added["to"]).toEqual(to.map((x, at) => Math.fround(x + (value[at] ?? 0))));
    const guarded = { guarded: true, sharesBuffer: false };
    const stop = { to, value, clipping: Float32Array.of(Number.NaN, -1) };
    const kept = await runner.run([{ launch: applyLaunch("assign", "f32", 70, guarded) }], stop, ["to"]);
    expect(kept["to"]).toEqual(to);
    const places = writeAtLaunch({ rows: 2, S: 7, T: 2, D: 5 }, free);
    const start = Int32Array.of(3);
    const written = await runner.run([{ launch: places }], { to, value: value.slice(0, 20), start }, ["to"]);
    const expected = to.slice();
    expected.set(value.subarray(0, 10), 15);
    expected.set(value.subarray(10, 20), 50);
    expect(written["to"]).toEqual(expected);
  });

  it.each([
    [1, 1, 1, 1],
    [2, 3, 7, 5],
  ] as const)("small products of batch %i: %i x %i x %i", async (batch, M, N, K) => {
    for (const [transA, transB, sharedB] of [
      [false, false, false],
      [false, true, true],
      [true, false, false],
      [true, true, false],
    ] as const) {
      const shape = { batch, M, N, K, transA, transB, alpha: 0.5, sharedB };
      const [a, b] = [normals(batch * M * K, 19), normals((sharedB ? 1 : batch) * K * N, 20)];
      const expected = Array.from({ length: batch * M * N }, (_, at) => {
        const place = { item: Math.floor(at / (M * N)), row: Math.floor(at / N) % M, column: at % N };
        return matmulPlaceReference(shape, a, b, place, 0).value;
      });
      const finish = { epilogue: plainFragment, accumulate: false };
      await check(directMatmulLaunch(shape, finish), { a, b }, expected);
      const twice = [finish, { ...finish, accumulate: true }].map((each) => ({
        launch: directMatmulLaunch(shape, each),
      }));
      const { y } = await runner.run(twice, { a, b, y: expected.length }, ["y"]);
      expectClose(
        "twice",
        y,
        expected.map((value) => 2 * value),
        tolerance,
      );
    }
  });

  it.each([
    {
      columns: 11,
      rowCount: 8,
      settings: [
        [0, 1, 0, 0],
        [0, 1, 1, 1],
        [5, 1, 0, 1],
        [0, 0.7, 0, 0],
        [6, 0.6, 0, 0],
        [1, 1, 0, 0],
        [0, 0, 0, 0],
      ],
    },
    {
      columns: 300,
      rowCount: 40,
      settings: [
        [0, 1, 0, 1],
        [0, 1, 1, 1],
        [40, 0.9, 0, 0],
        [0, 0.95, 0, 1],
        [3, 1, 0, 1],
        [297, 0.5, 0, 0],
        [298, 0.999, 0, 0],
      ],
    },
    {
      columns: 1031,
      rowCount: 40,
      settings: [
        [50, 1, 0, 0],
        [0, 0.9, 0, 0],
        [200, 0.3, 0, 1],
      ],
    },
  ])(
    "draws what the CPU draws, of $columns ids: greedy, whole, top-k, top-p, with bans",
    async ({ columns, rowCount, settings }) => {
      const random = Random.fromSeed(columns);
      const shape = { rows: rowCount, columns, queries: 1, causal: false, window: 0 };
      const probs = Float32Array.from(rowLoops.softmaxReference(normals(rowCount * columns, 21, 2), shape));
      const uniforms = Float32Array.from({ length: rowCount }, () => random.uniform());
      const [bannable, limit] = [[2, 3], columns - 2];
      const launch = sampleLaunch({ rows: rowCount, columns, limit, bannable });
      for (const four of settings) {
        const [topK = 0, topP = 1, greedy = 0, ban = 0] = Float32Array.from(four);
        const given = {
          probs,
          uniforms,
          settings: Float32Array.from(four),
          ids: rowCount,
          failed: Uint32Array.of(0xffff_ffff),
        };
        const { ids = new Float32Array() } = await runner.run([{ launch }], given, ["ids"]);
        const chosen = { topK, topP, greedy: greedy !== 0, banned: ban === 0 ? [] : bannable, limit };
        const expected = sampleRows(probs.slice(), uniforms, chosen, columns);
        expect([...new Int32Array(ids.buffer, ids.byteOffset, rowCount)], `settings ${four}`).toEqual([...expected]);
      }
      // Few values, so that many entries are equally probable, in sums that rounding does not change.
      const even = Float32Array.from(probs, (_, at) => 2 ** -(8 + ((at * 7) % 5)));
      // Next to nothing is left when the ids that hold nearly all are out.
      const left = probs.map((p, at) => (bannable.includes(at % columns) ? 0.5 : p * 2 ** -60));
      const none = probs.map((_, at) => (bannable.includes(at % columns) ? 0.5 : 0));
      for (const four of [...settings, [7, 0.8, 0, 1], [0, 0.6, 0, 1]]) {
        const [topK = 0, topP = 1, greedy = 0, ban = 0] = Float32Array.from(four);
        const chosen = { topK, topP, greedy: greedy !== 0, banned: ban === 0 ? [] : bannable, limit };
        for (const [name, values] of Object.entries({ even, left, none })) {
          const given = {
            probs: values,
            uniforms,
            settings: Float32Array.from(four),
            ids: rowCount,
            failed: Uint32Array.of(0xffff_ffff),
          };
          const { ids = new Float32Array() } = await runner.run([{ launch }], given, ["ids"]);
          const expected = sampleRows(values.slice(), uniforms, chosen, columns);
          expect([...new Int32Array(ids.buffer, ids.byteOffset, rowCount)], `${name}, settings ${four}`).toEqual([
            ...expected,
          ]);
        }
      }
      const broken = probs.slice().fill(Number.NaN, columns, 2 * columns);
      const given = {
        probs: broken,
        uniforms,
        settings: Float32Array.of(0, 1, 0, 0),
        ids: rowCount,
        failed: Uint32Array.of(0xffff_ffff),
      };
      const { failed = new Float32Array() } = await runner.run([{ launch }], given, ["failed"]);
      expect([...new Uint32Array(failed.buffer, failed.byteOffset, 1)]).toEqual([1]);
    },
  );
});

function normals(length: number, seed: number, magnitude = 1): Float32Array<ArrayBuffer> {
  const random = Random.fromSeed(seed);
  return Float32Array.from({ length }, () => magnitude * random.normal());
}
