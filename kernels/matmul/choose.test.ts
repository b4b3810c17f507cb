import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KernelRunner } from "../../test/support/webgpu-runner.ts";
import { slicedKernel } from "../slices.ts";
import { type Kernel, plainFragment } from "../wgsl.ts";
import { type Windows, windowedKernel } from "../windows.ts";
import { candidates, chooseVariant, type Precision, precisions, shapeClass } from "./choose.ts";
import { matrixStorage } from "./matrices.ts";
import type { MatrixConfig } from "./matrix-text.ts";
import { biasEpilogue, type Finish, type MatmulShape } from "./shape.ts";
import { describeVariant, fits, type MatmulAdapter, planMatmul } from "./variants.ts";

const halves = (M: number, N: number, K: number, resultComponentType = "f32"): MatrixConfig => ({
  componentType: "f16",
  resultComponentType,
  M,
  N,
  K,
});

/** As the engine notes give them (section 1.3). */
const adapters = {
  nvidia: {
    software: false,
    subgroups: { min: 32, max: 32 },
    matrices: [halves(16, 16, 16, "f16"), halves(16, 8, 8), halves(16, 8, 16), halves(16, 16, 16)],
    workgroupStorage: 49_152,
    invocations: 1024,
  },
  intel: {
    software: false,
    subgroups: { min: 16, max: 32 },
    matrices: [halves(8, 16, 16)],
    workgroupStorage: 32_768,
    invocations: 1024,
  },
  metal: {
    software: false,
    subgroups: { min: 32, max: 32 },
    matrices: [
      { componentType: "f32", resultComponentType: "f32", M: 8, N: 8, K: 8 },
      { componentType: "f16", resultComponentType: "f16", M: 8, N: 8, K: 8 },
    ],
    workgroupStorage: 32_768,
    invocations: 1024,
  },
  old: { software: false, subgroups: undefined, matrices: [], workgroupStorage: 16_384, invocations: 256 },
  software: {
    software: true,
    subgroups: { min: 4, max: 4 },
    matrices: [],
    workgroupStorage: 32_768,
    invocations: 256,
  },
} satisfies Readonly<Record<string, MatmulAdapter>>;

const shapeOf = (M: number, N: number, K: number, more: Partial<MatmulShape> = {}): MatmulShape => ({
  batch: 1,
  M,
  N,
  K,
  transA: false,
  transB: true,
  alpha: 1,
  sharedB: true,
  ...more,
});

/** Products of a training step of Pythia-70m on 4096 tokens, of sampling 64 texts, and of an autoencoder. */
const shapes = {
  "an MLP's first half": shapeOf(4096, 2048, 512),
  logits: shapeOf(4096, 50_304, 512),
  "gradient of a weight": shapeOf(512, 2048, 4096, { transA: true, transB: false }),
  "scores of attention": shapeOf(256, 256, 64, { batch: 128, sharedB: false }),
  "one step of sampling": shapeOf(64, 2048, 512),
  "one text's step": shapeOf(1, 2048, 512),
  "a value head": shapeOf(4096, 1, 512),
  "an encoder": shapeOf(2048, 1024, 512),
  tiny: shapeOf(3, 5, 7),
};

describe("the choice of a kernel", () => {
  it("is this, by adapter and shape", () => {
    const table = Object.entries(adapters).flatMap(([name, adapter]) =>
      Object.entries(shapes).map(
        ([what, shape]) => `${name}, ${what}: ${describeVariant(chooseVariant(shape, adapter, "half"))}`,
      ),
    );
    expect(table.join("\n")).toMatchInlineSnapshot(`
      "nvidia, an MLP's first half: matrices 16x16x16 half, 2x2 subgroups of 4x4, inner 32
      nvidia, logits: matrices 16x16x16 half, 2x2 subgroups of 4x4, inner 32
      nvidia, gradient of a weight: matrices 16x16x16 half, 2x2 subgroups of 4x2, inner 32
      nvidia, scores of attention: matrices 16x16x16 half, 2x2 subgroups of 4x4, inner 32
      nvidia, one step of sampling: matrices 16x16x16 half, 2x2 subgroups of 2x2, inner 32, 2 parts
      nvidia, one text's step: tiles 16x64x32 by 4x4, 2 parts
      nvidia, a value head: tiles 64x16x32 by 4x4, 2 parts
      nvidia, an encoder: matrices 16x16x16 half, 2x2 subgroups of 4x4, inner 32
      nvidia, tiny: tiles 16x64x32 by 4x4
      intel, an MLP's first half: matrices 8x16x16 half, 2x2 subgroups of 8x4, inner 32
      intel, logits: matrices 8x16x16 half, 2x2 subgroups of 8x4, inner 32
      intel, gradient of a weight: matrices 8x16x16 half, 2x2 subgroups of 8x2, inner 32
      intel, scores of attention: matrices 8x16x16 half, 2x2 subgroups of 8x4, inner 32
      intel, one step of sampling: matrices 8x16x16 half, 2x2 subgroups of 4x2, inner 32, 2 parts
      intel, one text's step: tiles 16x64x32 by 4x4, 2 parts
      intel, a value head: tiles 64x16x32 by 4x4, 2 parts
      intel, an encoder: matrices 8x16x16 half, 2x2 subgroups of 8x4, inner 32
      intel, tiny: tiles 16x64x32 by 4x4
      metal, an MLP's first half: matrices 8x8x8 f32, 2x2 subgroups of 8x8, inner 16
      metal, logits: matrices 8x8x8 f32, 2x2 subgroups of 8x8, inner 16
      metal, gradient of a weight: matrices 8x8x8 f32, 2x2 subgroups of 8x4, inner 32
      metal, scores of attention: matrices 8x8x8 f32, 2x2 subgroups of 8x8, inner 16
      metal, one step of sampling: matrices 8x8x8 f32, 2x2 subgroups of 4x4, inner 32, 2 parts
      metal, one text's step: tiles 16x64x32 by 4x4, 2 parts
      metal, a value head: tiles 64x16x32 by 4x4, 2 parts
      metal, an encoder: matrices 8x8x8 f32, 2x2 subgroups of 8x8, inner 16
      metal, tiny: tiles 16x64x32 by 4x4
      old, an MLP's first half: tiles 128x128x8 by 8x8
      old, logits: tiles 128x128x8 by 8x8
      old, gradient of a weight: tiles 64x64x16 by 8x4
      old, scores of attention: tiles 128x128x8 by 8x8
      old, one step of sampling: tiles 64x64x16 by 8x4, 2 parts
      old, one text's step: tiles 16x64x32 by 4x4, 2 parts
      old, a value head: tiles 64x16x32 by 4x4, 2 parts
      old, an encoder: tiles 64x64x16 by 8x4
      old, tiny: tiles 16x64x32 by 4x4
      software, an MLP's first half: tiles 32x32x16 by 4x4
      software, logits: tiles 32x32x16 by 4x4
      software, gradient of a weight: tiles 32x32x16 by 4x4
      software, scores of attention: tiles 32x32x16 by 4x4
      software, one step of sampling: tiles 32x32x16 by 4x4
      software, one text's step: tiles 32x32x16 by 4x4
      software, a value head: tiles 32x32x16 by 4x4
      software, an encoder: tiles 32x32x16 by 4x4
      software, tiny: tiles 32x32x16 by 4x4"
    `);
  });

  it("is something that the adapter can run, for every precision", () => {
    for (const adapter of Object.values(adapters))
      for (const shape of Object.values(shapes))
        for (const precision of precisions) {
          expect(fits(chooseVariant(shape, adapter, precision), adapter)).toBe(true);
          const all = candidates(shape, adapter, precision);
          expect(all[0]).toEqual(chooseVariant(shape, adapter, precision));
          expect(all.every((variant) => fits(variant, adapter))).toBe(true);
          expect(new Set(all.map((variant) => JSON.stringify(variant))).size).toBe(all.length);
        }
  });

  it("takes factors no less exactly than was asked for", () => {
    const kinds = (adapter: MatmulAdapter, precision: Precision): Set<string> =>
      new Set(
        candidates(shapes.logits, adapter, precision).map((variant) =>
          variant.kind === "tiles" ? "f32" : variant.precision,
        ),
      );
    expect(kinds(adapters.nvidia, "f32")).toEqual(new Set(["f32"]));
    expect(kinds(adapters.nvidia, "split")).toEqual(new Set(["f32", "split"]));
    expect(kinds(adapters.nvidia, "half")).toEqual(new Set(["f32", "half"]));
    expect(kinds(adapters.metal, "f32")).toEqual(new Set(["f32"]));
    expect(chooseVariant(shapes.logits, adapters.metal, "f32").kind).toBe("matrices");
  });

  it("is what was measured, where that can be run", () => {
    const measured = {
      kind: "tiles",
      tile: { rows: 32, columns: 64, inner: 8, perRow: 4, perColumn: 4 },
      splits: 2,
    } as const;
    const tuned = { [shapeClass(shapes.logits, "f32")]: measured };
    expect(chooseVariant(shapes.logits, adapters.old, "f32", tuned)).toEqual(measured);
    expect(chooseVariant(shapeOf(4100, 50_000, 500), adapters.old, "f32", tuned)).toEqual(measured);
    expect(chooseVariant(shapes.logits, adapters.old, "half", tuned)).not.toEqual(measured);
    const tooLarge = { ...measured, tile: { ...measured.tile, rows: 256, columns: 256 } };
    const unfit = { [shapeClass(shapes.logits, "f32")]: tooLarge };
    expect(chooseVariant(shapes.logits, adapters.old, "f32", unfit)).toEqual(
      chooseVariant(shapes.logits, adapters.old, "f32"),
    );
  });

  it("counts batches that share B as rows", () => {
    const shape = shapeOf(1, 2048, 512, { batch: 4096 });
    expect(chooseVariant(shape, adapters.nvidia, "f32")).toEqual(
      chooseVariant(shapeOf(4096, 2048, 512), adapters.nvidia, "f32"),
    );
    const [step] = planMatmul(shape, chooseVariant(shape, adapters.nvidia, "f32"), plain).steps;
    expect(step?.launch.params.slice(0, 3)).toEqual([4096, 2048, 512]);
  });
});

const plain: Finish = { epilogue: plainFragment, accumulate: false };

function inTwo({ bindings }: Kernel): Map<string, Windows> {
  return new Map(bindings.map(({ name }) => [name, { count: 2, bytes: 1024 }]));
}

describe("on Dawn's null backend", () => {
  let runner: KernelRunner;
  beforeAll(async () => {
    runner = await KernelRunner.open("null");
  });
  afterAll(() => runner.close());

  it.each(precisions)(
    "every kernel for %s compiles, on every adapter, for every transpose, even or not, in slices and in windows",
    async (precision) => {
      let kernels = 0;
      for (const adapter of Object.values(adapters))
        for (const [M, N, K] of [
          [512, 1024, 1024],
          [501, 1021, 1021],
        ] as const)
          for (const transA of [false, true])
            for (const transB of [false, true]) {
              const shape = shapeOf(M, N, K, { transA, transB, sharedB: false });
              for (const variant of candidates(shape, adapter, precision))
                for (const finish of [plain, { epilogue: biasEpilogue(true), accumulate: true }])
                  for (const { launch } of planMatmul(shape, variant, finish).steps) {
                    // The null backend has as little workgroup memory as the standard allows.
                    const large =
                      variant.kind === "matrices" && matrixStorage(variant.tile, variant.precision) > 16_384;
                    await (large ? runner.checkText(launch.kernel) : runner.compile(launch.kernel));
                    await runner.checkText(slicedKernel(launch.kernel));
                    kernels++;
                  }
              const [first] = candidates(shape, adapter, precision);
              const finish = { ...plain, mostBytes: 1024 };
              for (const { launch } of first === undefined ? [] : planMatmul(shape, first, finish).steps)
                await runner.checkText(windowedKernel(launch.kernel, inTwo(launch.kernel)));
            }
      expect(kernels).toBeGreaterThan(100);
    },
  );
});
