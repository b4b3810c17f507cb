import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { gpuIsHere } from "../../test/conformance/devices.ts";
import { main } from "../cli/main.ts";
import { createCpuDevice } from "../engine/cpu/device.ts";
import type { Device, Program } from "../engine/device.ts";
import { KernelTimer } from "../engine/webgpu/kernel-timer.ts";
import { measureProducts } from "./gpu.ts";
import { measureOnDevices } from "./gpu-parts.ts";

const work = {
  shape: "tiny",
  precision: "f32",
  repeats: 1,
  signal: new AbortController().signal,
  note: () => undefined,
} as const;

describe("the check before a device is timed", () => {
  let device: Device;
  beforeAll(async () => {
    device = await createCpuDevice({ threads: 1 });
  });
  afterAll(() => device.close());

  /** A device that is wrong by a share in every result that `isWrong` names. */
  function wrong(share: number, isWrong: (output: string) => boolean): Device {
    return {
      kind: "gpu",
      description: "wrong",
      createState: (entries) => device.createState(entries),
      close: () => device.close(),
      compile: async (spec): Promise<Program> => {
        const program = await device.compile(spec);
        return {
          dispose: () => program.dispose(),
          run: async (inputs) => {
            const results = await program.run(inputs);
            const made = Object.entries(results).map(([name, values]) => [
              name,
              isWrong(name) ? values.map((value) => value * (1 + share)) : values,
            ]);
            return Object.fromEntries(made);
          },
        };
      },
    };
  }

  it("passes a device that is right", async () => {
    const { figures, refused } = await measureOnDevices(device, work);
    expect(refused).toEqual([]);
    expect(figures.training?.tokensPerSecond).toBeGreaterThan(0);
    expect(figures.sampling?.newTokensPerSecond).toBeGreaterThan(0);
    expect(figures.autoencoders?.milliseconds).toBeGreaterThan(0);
  });

  it.each([
    ["loss", 1e-3, "training", "training on the GPU"],
    ["squares.0", 1e-3, "autoencoders", "an autoencoder on the GPU"],
    ["ids", -1, "sampling", "greedy continuation"],
  ] as const)(
    "refuses the step whose %s is off by a share of %s, and times the others",
    async (output, share, step, says) => {
      const { figures, refused } = await measureOnDevices(
        wrong(share, (name) => name === output),
        work,
      );
      expect(refused).toEqual([{ name: step, reason: expect.stringContaining(says) }]);
      expect(Object.keys(figures)).toEqual(["training", "sampling", "autoencoders"].filter((name) => name !== step));
    },
  );
});

it.skipIf(!gpuIsHere)("a product that is wrong costs its own figure and no other's", async () => {
  const timer = await KernelTimer.open({});
  let runs = 0;
  const spoiled = new Proxy(timer, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      if (name !== "run") return member.bind(target);
      return async (...args: Parameters<KernelTimer["run"]>) => {
        const y = await target.run(...args);
        runs += 1;
        return runs === 2 ? y.map((value) => value + 1) : y;
      };
    },
  });
  const peaks = { f32Tflops: 1 };
  const { timed, refused } = await measureProducts(spoiled, { ...work, tuned: {}, peaks });
  await timer.close();
  expect(runs).toBe(4);
  expect(timed.map(({ name }) => name)).toEqual(["mlp", "weightGradient", "scores"]);
  expect(refused).toMatchObject([{ name: "mlpBack", reason: expect.stringContaining("place [") }]);
});

it.skipIf(!gpuIsHere)("lfp bench gpu --tiny checks and times everything on whatever adapter there is", async () => {
  let stdout = "";
  const code = await main(["bench", "gpu", "--tiny", "--repeats", "1", "--json"], {
    signal: work.signal,
    env: { LFP_STATE_DIR: "/nonexistent" },
    stdout: (text) => {
      stdout += text;
    },
    stderr: () => undefined,
  });
  expect(code, stdout).toBe(0);
  const product = { variant: expect.any(String), tflops: expect.any(Number), share: expect.any(Number) };
  expect(JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "")).toMatchObject({
    name: "gpu",
    check: "ok",
    adapter: expect.any(String),
    model: "tiny-shape",
    products: ["mlp", "mlpBack", "weightGradient", "scores"].map((name) => ({ name, ...product })),
    training: { tokensPerSecond: expect.any(Number) },
  });
});
