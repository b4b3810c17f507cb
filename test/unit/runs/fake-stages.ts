import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { writeFileAtomically } from "../../../server/common/atomic-file.ts";
import { Random } from "../../../server/common/random.ts";
import { type PlannedStage, planStage, type Stage, type StageContext } from "../../../server/runs/stage.ts";

export interface TrainSettings {
  readonly steps: number;
  readonly rate: number;
  /** Leaves the process time to be killed in. */
  readonly pauseMs?: number;
}

const TrainState = z.object({
  step: z.int(),
  noise: z.tuple([z.int(), z.int(), z.int(), z.int()]),
  momentum: z.number(),
});

/** A "training" whose every bit depends on every step before it, on both random streams and on the momentum. */
export const train: Stage<TrainSettings, "base"> = {
  name: "fake-train",
  codeVersion: 1,
  run: (context) => trainFrom(() => weightsOf(context.input("base")), context),
};

/** The same from weights of zero. */
export const walk: Stage<TrainSettings, never> = {
  name: "fake-walk",
  codeVersion: 1,
  run: (context) => trainFrom(async () => new Float64Array(16), context),
};

async function trainFrom(initial: () => Promise<Float64Array>, context: StageContext<TrainSettings, never>) {
  const { settings, random, resumed } = context;
  const state = resumed === undefined ? undefined : TrainState.parse(resumed.state);
  let weights = resumed === undefined ? await initial() : asFloats(await resumed.read("weights.bin"));
  const noise = state === undefined ? random.fork("noise") : Random.fromState(state.noise);
  let momentum = state?.momentum ?? 0;
  for (let step = state?.step ?? 0; step < settings.steps; ) {
    momentum = 0.9 * momentum + random.normal();
    weights = weights.map((weight) => weight + settings.rate * momentum * noise.normal());
    step += 1;
    context.log({ step, norm: Math.hypot(...weights), sample: `Probe "${step}" — ünïcode` });
    context.progress(step, settings.steps, "steps");
    const current = step;
    await context.stepDone(() => ({
      state: { step: current, noise: noise.state, momentum },
      files: { "weights.bin": asBytes(weights) },
    }));
    if (settings.pauseMs !== undefined) await pause(settings.pauseMs);
  }
  await writeFileAtomically(join(context.output, "weights.bin"), asBytes(weights));
}

/** Without checkpoints: makes the weights that all start from. */
export const initialise: Stage<{ readonly size: number }, never> = {
  name: "fake-initialise",
  codeVersion: 1,
  async run({ settings, random, output, log }) {
    const weights = Float64Array.from({ length: settings.size }, () => random.normal());
    log({ size: settings.size });
    await writeFileAtomically(join(output, "weights.bin"), asBytes(weights));
  },
};

/** Joins two inputs. */
export const report: Stage<Record<string, never>, "tuned" | "base"> = {
  name: "fake-report",
  codeVersion: 1,
  async run(context) {
    const [base, tuned] = [await weightsOf(context.input("base")), await weightsOf(context.input("tuned"))];
    const distance = Math.hypot(...tuned.map((weight, i) => weight - (base[i] ?? 0)));
    context.log({ distance });
    await writeFileAtomically(join(context.output, "report.json"), JSON.stringify({ distance }));
  },
};

/** initialise -> train -> train -> report, over two sizes of step. */
export function fakePlan(options: { steps?: number; pauseMs?: number } = {}): PlannedStage[] {
  const { steps = 8, pauseMs } = options;
  const pause = pauseMs === undefined ? {} : { pauseMs };
  const base = planStage({ id: "base", stage: initialise, settings: { size: 16 }, inputs: {} });
  const first = planStage({ id: "first", stage: train, settings: { steps, rate: 0.1, ...pause }, inputs: { base } });
  const tuned = planStage({
    id: "tuned",
    stage: train,
    settings: { steps, rate: 0.01, ...pause },
    inputs: { base: first },
    publishAs: "tuned",
  });
  return [planStage({ id: "report", stage: report, settings: {}, inputs: { tuned, base }, publishAs: "." })];
}

/** One stage, for tests that run it hundreds of times. */
export function smallPlan(): PlannedStage[] {
  return [planStage({ id: "tuned", stage: walk, settings: { steps: 3, rate: 0.1 }, inputs: {}, publishAs: "tuned" })];
}

/** A checkpoint at every n-th step boundary, whatever the clock says. */
export function everyNth(n: number): () => boolean {
  let count = 0;
  return () => ++count % n === 0;
}

async function weightsOf(folder: string): Promise<Float64Array> {
  return asFloats(await readFile(join(folder, "weights.bin")));
}

function asBytes(floats: Float64Array): Uint8Array {
  return new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
}

function asFloats(bytes: Uint8Array): Float64Array {
  return new Float64Array(Uint8Array.from(bytes).buffer);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
