import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Random } from "../../server/common/random.ts";
import { emulatedMatrices } from "../../test/support/emulated-matrices.ts";
import { adapterHere } from "../../test/support/software-gpu.ts";
import { KernelRunner } from "../../test/support/webgpu-runner.ts";
import { plainFragment } from "../wgsl.ts";
import { candidates, precisions } from "./choose.ts";
import { halfScaleLaunches, scaleGroups } from "./half-scale.ts";
import { type FactorPrecision, type MatrixTile, matricesLaunch, tileExtents } from "./matrices.ts";
import type { MatrixConfig } from "./matrix-text.ts";
import { halfScaleReference, matmulPlaceReference, type Place } from "./reference.loops.ts";
import { biasEpilogue, type Finish, type MatmulShape } from "./shape.ts";
import type { Tile } from "./tiled.ts";
import { factorErrors, type MatmulStep, planMatmul, type Variant } from "./variants.ts";

const plain: Finish = { epilogue: plainFragment, accumulate: false };
const tile: Tile = { rows: 16, columns: 16, inner: 8, perRow: 4, perColumn: 4 };
const tiles: Variant = { kind: "tiles", tile, splits: 1 };

/** Ones, primes, multiples of nothing, multiples of tiles. */
const extents: readonly [M: number, N: number, K: number][] = [
  [1, 1, 1],
  [1, 37, 5],
  [23, 1, 17],
  [33, 36, 20],
];

const transposes: readonly Pick<MatmulShape, "transA" | "transB">[] = [
  { transA: false, transB: false },
  { transA: false, transB: true },
  { transA: true, transB: false },
  { transA: true, transB: true },
];

function shapeOf(M: number, N: number, K: number, more: Partial<MatmulShape> = {}): MatmulShape {
  return { batch: 1, M, N, K, transA: false, transB: false, alpha: 1, sharedB: false, ...more };
}

function randomValues(length: number, seed: number, magnitude = 1): Float32Array<ArrayBuffer> {
  const random = Random.fromSeed(seed);
  return Float32Array.from({ length }, () => magnitude * (2 * random.uniform() - 1));
}

function factorsOf({ batch, M, N, K, sharedB }: MatmulShape, magnitude = 1) {
  return {
    a: randomValues(batch * M * K, 1, magnitude),
    b: randomValues((sharedB ? 1 : batch) * K * N, 2, magnitude),
  };
}

/** All of them, as they lie in memory. */
function places({ batch, M, N }: MatmulShape): Place[] {
  return Array.from({ length: batch * M * N }, (_, at) => ({
    item: Math.floor(at / (M * N)),
    row: Math.floor(at / N) % M,
    column: at % N,
  }));
}

interface Check {
  readonly factorError?: number;
  readonly magnitude?: number;
  readonly buffers?: Readonly<Record<string, Float32Array | number>>;
  /** What becomes of a place of the plain product. */
  readonly after?: (value: number, at: number) => number;
}

/** The table's choice for each precision that has matrices here, by fewer fragments: compilers of software adapters are slow. */
const ownMatrices = precisions.flatMap((precision) => {
  if (adapterHere === undefined) return [];
  const usual = candidates(shapeOf(128, 128, 64), adapterHere, precision).find(({ kind }) => kind === "matrices");
  if (usual?.kind !== "matrices") return [];
  return [{ ...usual, tile: { ...usual.tile, fragments: [1, 2] } } as const];
});

describe.skipIf(adapterHere === undefined)("products on an adapter", () => {
  let runner: KernelRunner;
  beforeAll(async () => {
    runner = await KernelRunner.open("here");
  });
  afterAll(() => runner.close());

  /** Every place within its own bound. */
  async function check(shape: MatmulShape, steps: readonly MatmulStep[], more: Check = {}): Promise<void> {
    const { factorError = 0, magnitude = 1, buffers = {}, after = (value) => value } = more;
    const { a, b } = factorsOf(shape, magnitude);
    const { y } = await runner.run(steps, { y: shape.batch * shape.M * shape.N, ...buffers, a, b }, ["y"]);
    const worst = places(shape).reduce((most, place, at) => {
      const { value, bound } = matmulPlaceReference(shape, a, b, place, factorError);
      const share = Math.abs((y?.[at] ?? Number.NaN) - after(value, at)) / bound;
      return share <= most ? most : share;
    }, 0);
    expect(worst, `${steps.at(-1)?.launch.kernel.name}: error as a share of what is allowed`).toBeLessThanOrEqual(1);
    expect(y?.length).toBe(shape.batch * shape.M * shape.N);
  }

  describe.each(transposes)("by tiles, %o", (transpose) => {
    it.each(extents)("[%i, %i] over %i", async (M, N, K) => {
      const shape = shapeOf(M, N, K, { ...transpose, alpha: 0.5 });
      await check(shape, planMatmul(shape, tiles, plain).steps);
    });

    it("in batches, with a B of their own and with one for all", async () => {
      for (const sharedB of [false, true]) {
        const shape = shapeOf(33, 12, 20, { ...transpose, batch: 3, sharedB });
        await check(shape, planMatmul(shape, tiles, plain).steps);
      }
    });
  });

  it("by tiles that are not square, and in more bands than one", async () => {
    const uneven: Tile = { rows: 16, columns: 32, inner: 8, perRow: 4, perColumn: 8 };
    const shape = shapeOf(150, 70, 12);
    await check(shape, planMatmul(shape, { ...tiles, tile: uneven }, plain).steps);
  });

  it.each([36, 37])("the inner extent in parts, %i columns", async (N) => {
    const shape = shapeOf(9, N, 83, { batch: 2, alpha: 2 });
    const { steps, workspaces } = planMatmul(shape, { ...tiles, splits: 3 }, plain);
    expect(workspaces).toEqual({ parts: 3 * 2 * 9 * N });
    await check(shape, steps, { buffers: workspaces });
  });

  it.each([1, 3])("a bias and ReLU on the way out, added to what is there; %i parts", async (splits) => {
    for (const N of [36, 37]) {
      const shape = shapeOf(9, N, 40, { batch: 2, sharedB: true });
      const [bias, before] = [randomValues(N, 3), randomValues(2 * 9 * N, 4)];
      const finish = { epilogue: biasEpilogue(true), accumulate: true };
      const { steps, workspaces } = planMatmul(shape, { ...tiles, splits }, finish);
      const after = (value: number, at: number): number => (before[at] ?? 0) + Math.max(0, value + (bias[at % N] ?? 0));
      await check(shape, steps, { buffers: { ...workspaces, bias, y: before }, after, factorError: 1e-6 });
    }
  });

  const config: MatrixConfig = { componentType: "f16", resultComponentType: "f32", M: 8, N: 8, K: 4 };
  const matrices: MatrixTile = {
    config,
    subgroups: [2, 1],
    fragments: [1, 2],
    inner: 8,
    subgroupSize: 32,
    pinned: false,
  };
  const [rows, columns] = [16, 16];

  /** The kernel for subgroup matrices with plain code in the place of the builtins: halves are f32 then. */
  function emulated(shape: MatmulShape, finish: Finish, splits: number, precision: FactorPrecision): MatmulStep[] {
    const variant: Variant = { kind: "matrices", tile: matrices, precision, splits };
    const text = emulatedMatrices(config);
    return planMatmul(shape, variant, finish).steps.map((step) =>
      step.launch.kernel.name.startsWith("matmul")
        ? { ...step, launch: matricesLaunch(shape, { ...finish, tile: matrices, precision, splits, text }) }
        : step,
    );
  }
  const workspaces = { scales: 2, "largest a": 8, "largest b": 8 };

  it.each(transposes)("by matrices, across edges and not, %o", async (transpose) => {
    for (const [M, N, K] of [
      [rows + 3, columns + 5, 13],
      [2 * rows, columns, 24],
    ] as const) {
      const shape = shapeOf(M, N, K, { ...transpose, alpha: 0.25, batch: 2 });
      await check(shape, emulated(shape, plain, 1, "f32"));
    }
  });

  it("by matrices in parts, with scales, two halves a factor, and a bias", async () => {
    const shape = shapeOf(rows, columns, 40);
    const bias = randomValues(columns, 3, 1e-12);
    const after = (value: number, at: number): number => value + (bias[at % columns] ?? 0);
    const buffers = { ...workspaces, bias, parts: 2 * rows * columns };
    const finish = { epilogue: biasEpilogue(false), accumulate: false };
    await check(shape, emulated(shape, finish, 2, "split"), { magnitude: 1e-6, buffers, after, factorError: 1e-6 });
    await check(shape, emulated(shape, plain, 1, "half"), { magnitude: 1e8, buffers });
  });

  it.skipIf(ownMatrices.length === 0)(
    "by the adapter's own matrices, in every layout: whole, across edges, in parts, with a bias",
    async () => {
      for (const variant of ownMatrices) {
        const [down, across] = tileExtents(variant.tile);
        const factorError = factorErrors[variant.precision];
        for (const transpose of transposes) {
          const whole = shapeOf(2 * down, across, 3 * variant.tile.inner, transpose);
          const crossing = shapeOf(down + 3, across + 5, 77, { ...transpose, alpha: 0.5, batch: 2 });
          for (const shape of [whole, crossing]) {
            const { steps, workspaces: buffers } = planMatmul(shape, variant, plain);
            // Small enough that halves would lose them without scales.
            await check(shape, steps, { buffers, factorError, magnitude: 1e-6 });
          }
        }
        const shape = shapeOf(down, across + 4, 96);
        const bias = randomValues(across + 4, 3);
        const after = (value: number, at: number): number => value + (bias[at % (across + 4)] ?? 0);
        const finish = { epilogue: biasEpilogue(false), accumulate: false };
        const { steps, workspaces: more } = planMatmul(shape, { ...variant, splits: 2 }, finish);
        await check(shape, steps, { buffers: { ...more, bias }, after, factorError: factorError + 1e-6 });
      }
    },
  );

  it("finds the scale of a tensor, whatever is in it", async () => {
    const tensors = [
      [1],
      [0, 0, 0, 0],
      [-3e38, 1, 2],
      [1e-42, 0],
      [Number.NaN, 5],
      [Number.NEGATIVE_INFINITY, 5, 0, 1],
      randomValues(20_001, 5, 3e-9),
      randomValues(20_004, 6, 0.7),
    ].map((values) => Float32Array.from(values));
    for (const x of tensors) {
      const launches = halfScaleLaunches(x.length, 1);
      expect(scaleGroups(x.length)).toBe(Math.ceil(x.length / 8192));
      const steps = launches.map((launch) => ({ launch }));
      const { scales } = await runner.run(steps, { x, largest: scaleGroups(x.length), scales: 2 }, ["scales"]);
      expect(scales, `of ${x.slice(0, 3)}`).toEqual(Float32Array.of(0, halfScaleReference(x)));
    }
  });
});
