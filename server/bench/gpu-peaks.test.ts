import { expect, it } from "vitest";
import { measurePeaks, type PeakTimer } from "./gpu-peaks.ts";

const half = { componentType: "f16", resultComponentType: "f32", M: 16, N: 16, K: 16 };
const operationsAnIteration = { f32: 2 ** 27, half: 2 ** 28 };

/** A card that computes at these rates, after 10 microseconds for each launch. */
function card(f32Tflops: number, halfTflops: number): { timer: PeakTimer; launches: [string, number][] } {
  const launches: [string, number][] = [];
  const timer: PeakTimer = {
    traits: {
      vendor: "",
      architecture: "",
      description: "made up",
      driver: "",
      software: false,
      f16: true,
      subgroups: { min: 32, max: 32 },
      matrices: [half],
    },
    adapter: {
      software: false,
      subgroups: { min: 32, max: 32 },
      matrices: [half],
      workgroupStorage: 49_152,
      invocations: 1024,
    },
    fill: async () => undefined,
    free: () => undefined,
    run: async ([step]) => {
      const iterations = step?.launch.params[1] ?? 0;
      return Float32Array.of(step?.launch.kernel.name === "f32 peak" ? 64 : (iterations * 16) / 2 ** 10);
    },
    seconds: async ([step]) => {
      const iterations = step?.launch.params[1] ?? 0;
      const isF32 = step?.launch.kernel.name === "f32 peak";
      const work = iterations * operationsAnIteration[isF32 ? "f32" : "half"];
      const seconds = 1e-5 + work / (1e12 * (isF32 ? f32Tflops : halfTflops));
      launches.push([isF32 ? "f32" : "half", seconds]);
      return seconds;
    },
  };
  return { timer, launches };
}

it("finds a fast card's peaks by launches that are long beside what launching takes", async () => {
  const peaks = await measurePeaks(card(60, 600).timer);
  expect(peaks.f32Tflops).toBeGreaterThan(59.5);
  expect(peaks.f32Tflops).toBeLessThanOrEqual(60);
  expect(peaks.halfMatrixTflops).toBeGreaterThan(595);
  expect(peaks.halfMatrixTflops).toBeLessThanOrEqual(600);
  expect(peaks.f32MatrixTflops).toBeUndefined();
});

it("keeps every launch short on slow ones", async () => {
  for (const [f32Tflops, halfTflops] of [
    [0.1, 0.2],
    [1, 4],
    [60, 600],
  ] as const) {
    const { timer, launches } = card(f32Tflops, halfTflops);
    await measurePeaks(timer);
    expect(Math.max(...launches.map(([, seconds]) => seconds))).toBeLessThan(0.1);
  }
});
