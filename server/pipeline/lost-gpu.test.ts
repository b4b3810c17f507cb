/** A run whose GPU is lost goes on from its last checkpoint as if nothing had happened. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { gpuIsHere } from "../../test/conformance/devices.ts";
import { lastingFiles } from "../../test/unit/runs/lasting-files.ts";
import { scratchFolder } from "../../test/unit/runs/scratch.ts";
import { writeFileAtomically } from "../common/atomic-file.ts";
import type { Device } from "../engine/device.ts";
import * as ops from "../engine/ops.ts";
import { createOptimizer } from "../engine/optimizer.ts";
import { openAdapter } from "../engine/webgpu/adapter.ts";
import { createGpuDevice, gpuDeviceOn } from "../engine/webgpu/device.ts";
import type { RunEvent } from "../protocol/run-events.ts";
import { runPipeline } from "../runs/run.ts";
import { readRecord } from "../runs/run-folder.ts";
import { planStage, type Stage } from "../runs/stage.ts";

const names = ["w", "w.m", "w.v"];

/** Trains w [8, 4] to take random x [4, 8] to ones, with a checkpoint a step. */
const train: Stage<{ steps: number }, never> = {
  name: "gpu-train",
  codeVersion: 1,
  async run({ settings, random, resumed, output, openDevice, log, stepDone }) {
    const device = await openDevice();
    try {
      const weights = await device.createState([{ name: "w", shape: [8, 4], values: undefined }]);
      const optimizer = await createOptimizer(device, [{ name: "w", shape: [8, 4] }]);
      const storeOf = (name: string) => (name === "w" ? weights : optimizer.store);
      for (const name of resumed === undefined ? [] : names)
        await storeOf(name).write(name, new Float32Array(Uint8Array.from((await resumed?.read(name)) ?? []).buffer));
      const y = ops.matmul(ops.input("x", [4, 8]), ops.state("w", [8, 4]));
      const loss = ops.mean(ops.square(ops.sub(y, ops.fill([4, 4], 1))));
      const stores = [weights, optimizer.store];
      const program = await device.compile({ stores, outputs: { loss }, updates: [optimizer.update(loss)] });
      const capture = async (step: number) => {
        const files: Record<string, Uint8Array> = {};
        for (const name of names) {
          const { buffer, byteOffset, byteLength } = await storeOf(name).read(name);
          files[name] = new Uint8Array(buffer, byteOffset, byteLength);
        }
        return { state: step, files };
      };
      for (let step = z.int().parse(resumed?.state ?? 0) + 1; step <= settings.steps; step++) {
        const x = new Float32Array(32).map(() => random.normal());
        const result = await program.run({ x, ...optimizer.inputsAt(step, adamW) });
        log({ step, loss: result["loss"]?.[0] ?? null });
        await stepDone(() => capture(step));
      }
      const { files } = await capture(settings.steps);
      for (const name of names) await writeFileAtomically(join(output, name), files[name] ?? "");
    } finally {
      await device.close();
    }
  },
};

const adamW = { learningRate: 0.05, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01, maxGradientNorm: 1 };

describe.skipIf(!gpuIsHere)("a run whose GPU is lost in the middle of a step", () => {
  it("ends resumable, and resumed ends byte-equal to one that was not cut", { timeout: 60_000 }, async () => {
    const [uncut, cut] = [join(await scratchFolder(), "demo"), join(await scratchFolder(), "demo")];
    expect((await run(uncut, createGpuDevice)).outcome).toEqual({ kind: "done" });

    const lost = await run(cut, () => gpuLostInRun(4));
    const outcome = { kind: "failed", code: "resource", stage: "only", resumable: true };
    expect(lost.outcome).toEqual({ ...outcome, message: expect.stringMatching(/^the GPU was lost \(.+\); .+Resume/) });
    expect((await readRecord(cut))?.state).toMatchObject(outcome);

    const resumed = await run(cut, createGpuDevice);
    expect(resumed.outcome).toEqual({ kind: "done" });
    expect(resumed.events.find(({ kind }) => kind === "stage-resumed")).toBeDefined();
    expect(await lastingFiles(cut)).toEqual(await lastingFiles(uncut));
  });
});

async function run(folder: string, openDevice: () => Promise<Device>) {
  const events: RunEvent[] = [];
  const plan = [planStage({ id: "only", stage: train, settings: { steps: 6 }, inputs: {}, publishAs: "tuned" })];
  const outcome = await runPipeline(plan, folder, {
    seed: 7,
    deviceClass: "webgpu:test",
    queued: false,
    openDevice,
    checkpointDue: () => true,
    onEvent: (event) => events.push(event),
  });
  return { outcome, events };
}

/** A GPU that is lost while the n-th run of its programs is under way. */
async function gpuLostInRun(n: number): Promise<Device> {
  const opened = await openAdapter();
  const device = await gpuDeviceOn(opened);
  let runs = 0;
  return {
    kind: device.kind,
    description: device.description,
    createState: (entries) => device.createState(entries),
    close: () => device.close(),
    compile: async (spec) => {
      const program = await device.compile(spec);
      return {
        dispose: () => program.dispose(),
        run: (inputs) => {
          if (++runs === n) setImmediate(() => opened.device.destroy());
          return program.run(inputs);
        },
      };
    },
  };
}
