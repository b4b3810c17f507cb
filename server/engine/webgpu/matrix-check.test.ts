import { expect, it } from "vitest";
import { matmulPlaceReference } from "../../../kernels/matmul/reference.loops.ts";
import type { MatmulAdapter } from "../../../kernels/matmul/variants.ts";
import { checkMatrices, type RunPlan } from "./matrix-check.ts";

const adapter: MatmulAdapter = {
  software: false,
  subgroups: { min: 32, max: 32 },
  matrices: [{ componentType: "f16", resultComponentType: "f32", M: 16, N: 16, K: 16 }],
  workgroupStorage: 49_152,
  invocations: 1024,
};

/** The two products of the check, as their kernels' numbers say them, computed by plain loops; `change` makes mistakes. */
const runWith =
  (change: (value: number, at: number) => number): RunPlan =>
  async ({ steps }, { a, b }, size) => {
    const { kernel, params } = steps.at(-1)?.launch ?? { kernel: undefined, params: [] };
    const [M = 0, N = 0, K = 0] = params;
    const alpha = params[10] ?? 0;
    const transposed = kernel?.name.includes("At Bt") ?? false;
    const shape = { batch: size / (M * N), M, N, K, transA: transposed, transB: transposed, alpha, sharedB: false };
    return Float32Array.from({ length: size }, (_, at) => {
      const place = { item: Math.floor(at / (M * N)), row: Math.floor(at / N) % M, column: at % N };
      return change(matmulPlaceReference(shape, a, b, place, 0).value, at);
    });
  };

it("keeps matrices that compute rightly, as exactly as was asked for", async () => {
  const right = runWith((value) => value);
  expect(await checkMatrices(adapter, "split", right)).toEqual({ adapter, problem: undefined });
  expect(await checkMatrices(adapter, "half", right)).toEqual({ adapter, problem: undefined });
});

it.each<[string, RunPlan, string]>([
  ["are off in one place", runWith((value, at) => (at === 20_999 ? value * 1.01 + 1e-13 : value)), "compute wrongly"],
  ["give NaN", runWith((value, at) => (at === 7 ? Number.NaN : value)), "compute wrongly"],
  ["give zeros, as a dropped submit does", runWith(() => 0), "compute wrongly"],
  ["are refused", () => Promise.reject(new Error("no such configuration")), "no such configuration"],
])("leaves matrices out that %s", async (_, run, problem) => {
  const checked = await checkMatrices(adapter, "split", run);
  expect(checked.adapter).toEqual({ ...adapter, matrices: [] });
  expect(checked.problem).toContain(problem);
});

it("computes nothing where there are none, or where none would be used", async () => {
  const never: RunPlan = () => Promise.reject(new Error("was run"));
  expect(await checkMatrices({ ...adapter, matrices: [] }, "half", never)).toMatchObject({ problem: undefined });
  expect(await checkMatrices(adapter, "f32", never)).toEqual({ adapter, problem: undefined });
});
