import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { benchDpo } from "../../server/bench/dpo-timing.ts";
import { adamW, trainingProgram } from "../../server/bench/engine.ts";
import { randomLensSubject } from "../../server/bench/lens-subject.ts";
import { benchSae } from "../../server/bench/sae-timing.ts";
import { Random } from "../../server/common/random.ts";
import { createCpuDevice } from "../../server/engine/cpu/device.ts";
import { type RuntimeKind, runtimeKinds } from "../../server/engine/cpu/runtime.ts";
import type { Device, Program, ProgramSpec } from "../../server/engine/device.ts";
import { Lens } from "../../server/lens/lens.ts";
import { createModel } from "../../server/models/checkpoint.ts";
import { plainPositions } from "../../server/models/model.ts";
import { targetsOf } from "../../server/models/next-token-loss.ts";
import { createPpoTrainer } from "../../server/tuning/ppo.ts";
import { tinyOptions } from "../support/tiny-ppo.ts";
import { modelFolder } from "./fixtures.ts";

/** Work by name. Each is done by each kind of runtime, and all results of all programs are compared. */
const works: Readonly<Record<string, (device: Device) => Promise<void>>> = {
  "steps of training": trains,
  "sampling and steps of PPO": async (device) => {
    await using trainer = await createPpoTrainer(await tinyOptions(device, { steps: 2 }));
    while (trainer.done < trainer.steps) await trainer.step();
  },
  "steps of DPO": async (device) => {
    const overrides = { batchSize: 4, pairsAtOnce: 4, learningRate: 1e-3 };
    await benchDpo({ device, model: { folder: modelFolder("gpt-neox"), name: "tiny" }, steps: 2, overrides });
  },
  "steps of autoencoders": async (device) => {
    const sizes = { batchTokens: 256, bufferTokens: 512, contextLength: 64, steps: 4 };
    await benchSae({ device, model: tinyModel, layers: [0, 1], ...sizes });
  },
  "a lens, whose weights are frozen": async (device) => {
    const lens = new Lens(await randomLensSubject(device, "starter"));
    await lens.read("A great cast in a dreadful film, and yet I loved it.");
    await lens.close();
  },
};

const tinyModel = {
  model_type: "gpt_neox",
  vocab_size: 211,
  hidden_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  intermediate_size: 64,
  max_position_embeddings: 64,
};

describe.each([1, 2])(
  "with threads: %d, ONNX Runtime gives the same bytes by its C API and by its package for",
  (threads) => {
    it.each(Object.entries(works))("%s", async (_, work) => {
      const [native = [], ...others] = await Promise.all(runtimeKinds.map((kind) => digestsOf(kind, threads, work)));
      expect(new Set(native).size).toBeGreaterThan(1);
      for (const other of others) expect(other).toEqual(native);
    });
  },
);

async function trains(device: Device): Promise<void> {
  const model = await createModel(device, tinyModel, Random.fromSeed(1));
  const shape = [3, 17] as const;
  const ids = Int32Array.from({ length: 3 * 17 }, (_, at) => (at * 31) % 211);
  const batch = { ids, positions: plainPositions(shape), targets: targetsOf(ids, shape) };
  const { optimizer, program } = await trainingProgram(device, model, shape);
  for (let step = 1; step <= 4; step++) await program.run({ ...batch, ...optimizer.inputsAt(step, adamW) });
}

/** Digests of what each run of each program gave, and of what its state held afterwards. */
async function digestsOf(
  runtime: RuntimeKind,
  threads: number,
  work: (device: Device) => Promise<void>,
): Promise<string[]> {
  await using device = await openDevice(runtime, threads);
  const digests: string[] = [];
  const recording: Device = {
    kind: device.kind,
    description: device.description,
    admitState: (bytes) => device.admitState(bytes),
    createState: (entries) => device.createState(entries),
    compile: async (spec) => recordingProgram(await device.compile(spec), spec, digests),
    close: async () => undefined,
  };
  await work(recording);
  return digests;
}

function recordingProgram(program: Program, { stores }: ProgramSpec, digests: string[]): Program {
  return {
    run: async (inputs) => {
      const results = await program.run(inputs);
      const hash = createHash("sha256");
      for (const [name, values] of Object.entries(results)) hash.update(name).update(values);
      for (const store of stores) for (const name of store.names) hash.update(name).update(await store.read(name));
      digests.push(hash.digest("hex"));
      return results;
    },
    dispose: () => program.dispose(),
  };
}

async function openDevice(runtime: RuntimeKind, threads: number) {
  const device = await createCpuDevice({ threads, runtime });
  expect((await device.runtimeChoice()).kind).toBe(runtime);
  return Object.assign(device, { [Symbol.asyncDispose]: () => device.close() });
}
