import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Random } from "../server/common/random.ts";
import { adapterHere } from "../test/support/software-gpu.ts";
import { KernelRunner } from "../test/support/webgpu-runner.ts";
import { keepTopKLaunch, topKIndicesLaunch, topKValuesLaunch } from "./top-k.ts";
import { selectPays, type TopKShape } from "./top-k-select.ts";
import type { Launch } from "./wgsl.ts";

/** Places of the k largest of each row, falling; ties to the lower place. */
function reference(x: Float32Array, { rows, columns, k }: TopKShape): number[][] {
  return Array.from({ length: rows }, (_, row) => {
    const values = [...x.subarray(row * columns, (row + 1) * columns)];
    const places = values.map((_, place) => place);
    return places.toSorted((a, b) => (values[b] ?? 0) - (values[a] ?? 0) || a - b).slice(0, k);
  });
}

const random = Random.fromSeed(1);
/** How the values of a row are drawn. */
const kinds: readonly (() => number)[] = [
  () => random.normal(),
  () => Math.max(0, random.normal() - 1.6),
  () => [-2, -1, -0, 0, 1, 2][random.integer(6)] ?? 0,
  () => -3,
  () => random.normal() * 10 ** (random.integer(60) - 30),
];
const rows = kinds.length;

describe.skipIf(adapterHere === undefined)("the k largest of each row", () => {
  let runner: KernelRunner;
  beforeAll(async () => {
    runner = await KernelRunner.open("here");
  });
  afterAll(() => runner.close());

  it.each([
    [300, 1, false],
    [37, 8, false],
    [256, 5, true],
    [701, 64, true],
    [260, 260, true],
  ])("of %i, the largest %i (by selection: %s)", async (columns, k, bySelection) => {
    const shape = { rows, columns, k };
    expect(selectPays("values", shape)).toBe(bySelection);
    const x = Float32Array.from(kinds.flatMap((draw) => Array.from({ length: columns }, draw)));
    const places = reference(x, shape);
    const run = async (launch: Launch, size: number) => (await runner.run([{ launch }], { x, y: size }, ["y"]))["y"];
    const values = places.flatMap((list, row) => list.map((place) => x[row * columns + place] ?? Number.NaN));
    expect(await run(topKValuesLaunch(shape), rows * k)).toEqual(Float32Array.from(values));
    const indices = await run(topKIndicesLaunch(shape), rows * k);
    expect([...new Int32Array(indices?.buffer ?? new ArrayBuffer(0))]).toEqual(places.flat());
    const kept = new Float32Array(rows * columns);
    for (const [row, list] of places.entries())
      for (const place of list) kept[row * columns + place] = x[row * columns + place] ?? Number.NaN;
    expect(await run(keepTopKLaunch(shape), rows * columns)).toEqual(kept);
  });

  it("keeps more of a row in place than it could sort", async () => {
    const shape = { rows, columns: 3000, k: 1100 };
    expect([selectPays("kept", shape), selectPays("values", shape)]).toEqual([true, false]);
    const x = Float32Array.from(kinds.flatMap((draw) => Array.from({ length: shape.columns }, draw)));
    const kept = new Float32Array(rows * shape.columns);
    for (const [row, list] of reference(x, shape).entries())
      for (const place of list) kept[row * shape.columns + place] = x[row * shape.columns + place] ?? Number.NaN;
    const runs = [{ launch: keepTopKLaunch(shape) }];
    expect((await runner.run(runs, { x, y: rows * shape.columns }, ["y"]))["y"]).toEqual(kept);
  });
});
