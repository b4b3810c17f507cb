import { expect, test } from "vitest";
import { centredForm } from "../common/centred-form.loops.ts";
import { Random } from "../common/random.ts";
import { familiarityOf, isUnfamiliar } from "./familiarity.ts";
import type { SparseRows } from "./sparse.loops.ts";

const never = new AbortController().signal;

/** Rows in which each of F features is active with a chance. */
function rowsOf(random: Random, { rows, features, chance }: { rows: number; features: number; chance: number }) {
  const dense = Array.from({ length: rows }, () =>
    Float32Array.from({ length: features }, () => (random.uniform() < chance ? random.uniform() : 0)),
  );
  const active = dense.map((row) => [...row.keys()].filter((j) => row[j] !== 0));
  const rowStarts = new Int32Array(rows + 1);
  for (const [i, columns] of active.entries()) rowStarts[i + 1] = (rowStarts[i] ?? 0) + columns.length;
  const sparse: SparseRows = {
    rowStarts,
    columns: Int32Array.from(active.flat()),
    values: Float32Array.from(active.flatMap((columns, i) => columns.map((j) => dense[i]?.[j] ?? 0))),
  };
  return { dense, sparse };
}

function leverageOf(random: Random, features: number) {
  const packed = Float32Array.from({ length: (features * (features + 1)) / 2 }, () => random.uniform() - 0.5);
  // Large diagonals make it positive definite.
  for (let i = 0; i < features; i++) packed[(i * (i + 3)) / 2] = features;
  const means = Float32Array.from({ length: features }, () => random.uniform());
  return { packed, means };
}

/** (z - m)ᵀ M (z - m), term by term. */
function formByHand(z: Float32Array, packed: Float32Array, means: Float32Array): number {
  let sum = 0;
  for (const [i, zi] of z.entries())
    for (const [j, zj] of z.entries()) {
      const element = packed[i >= j ? (i * (i + 1)) / 2 + j : (j * (j + 1)) / 2 + i] ?? Number.NaN;
      sum += element * (zi - (means[i] ?? 0)) * (zj - (means[j] ?? 0));
    }
  return sum;
}

test("is each token's leverage over the limit, however many pieces it is worked out in", async () => {
  const random = Random.fromSeed(3);
  const features = 300;
  const { packed, means } = leverageOf(random, features);
  // 100 rows of 300 features at 60 % are about 1.6 million multiplications: more than one piece.
  const { dense, sparse } = rowsOf(random, { rows: 100, features, chance: 0.6 });
  const found = await familiarityOf({ leverage: centredForm(packed, means), limit: 4 }, sparse, never);
  expect(found).toHaveLength(100);
  for (const [row, z] of dense.entries()) {
    const expected = formByHand(z, packed, means) / 4;
    expect(Math.abs((found[row] ?? Number.NaN) - expected)).toBeLessThan(1e-6 * expected);
  }
});

test("is given up within 100 ms of work when it is cancelled in the middle of a long dense passage", async () => {
  const random = Random.fromSeed(4);
  const features = 2560;
  const { packed, means } = leverageOf(random, features);
  const { sparse } = rowsOf(random, { rows: 200, features, chance: 0.9 });
  const familiarity = { leverage: centredForm(packed, means), limit: 1 };
  const controller = new AbortController();
  const before = process.threadCpuUsage();
  const working = familiarityOf(familiarity, sparse, controller.signal);
  // Comes with the first turn of the event loop that the work allows.
  const cancelled = new Promise<NodeJS.CpuUsage>((resolve) => {
    setTimeout(() => {
      controller.abort(new Error("no longer wanted"));
      resolve(process.threadCpuUsage());
    }, 0);
  });
  await expect(working).rejects.toThrow("no longer wanted");
  const untilHeard = process.threadCpuUsage(before);
  const afterwards = process.threadCpuUsage(await cancelled);
  for (const { user, system } of [untilHeard, afterwards]) expect((user + system) / 1000).toBeLessThan(100);
});

test("above the limit is unfamiliar; what is not known is not", () => {
  expect([0.5, 1, 1.01, null].map(isUnfamiliar)).toEqual([false, false, true, false]);
});
