import type { Device } from "../engine/device.ts";
import { gradients } from "../engine/gradients.ts";
import type { Values } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { simplify } from "../engine/simplify.ts";
import type { ParameterSpec } from "../models/architecture.ts";
import { type LoadedModel, readFloats } from "../models/checkpoint.ts";
import { nextTokenLoss } from "../models/next-token-loss.ts";
import { BenchCheckError } from "./timing.ts";

/**
 * Checks the first loss: weights near zero make every token nearly equally likely, a loss of ln V plus a little for
 * their spread.
 */
export function checkFirstLoss(loss: number, vocabSize: number): void {
  const expected = Math.log(vocabSize);
  if (!(Math.abs(loss - expected) < 0.5))
    throw new BenchCheckError("the first loss", loss.toFixed(4), `near ln V = ${expected.toFixed(4)}`);
}

/** Checks that steps on one batch lower its loss. */
export function checkLearns(losses: readonly number[]): void {
  const [first = Number.NaN, last = Number.NaN] = [losses[0], losses.at(-1)];
  if (!(last < first))
    throw new BenchCheckError(
      `the loss after ${losses.length} steps`,
      last.toFixed(4),
      `below the first, ${first.toFixed(4)}`,
    );
}

/**
 * Checks gradients of parameters from one end of the model to the other: along its gradient g, a loss must change by
 * |g| per unit of distance, (loss(p + h g / |g|) - loss(p - h g / |g|)) / 2h.
 */
export async function checkGradients(
  device: Device,
  model: LoadedModel,
  shape: readonly [number, number],
  batch: Readonly<Record<string, Values>>,
  signal: AbortSignal,
): Promise<void> {
  const chosen = parametersToCheck(model.parameters);
  const [loss = ops.fill([], 0), ...states] = simplify([
    nextTokenLoss(model, shape),
    ...chosen.map(({ name, shape: extents }) => ops.state(name, extents)),
  ]);
  const found = gradients(loss, states);
  const named = Object.fromEntries(found.map((gradient, at) => [chosen[at]?.name ?? "", gradient]));
  const full = await device.compile({ stores: [model.store], outputs: named });
  const results = await full.run(batch);
  await full.dispose();
  const program = await device.compile({ stores: [model.store], outputs: { loss } });
  for (const { name } of chosen) {
    signal.throwIfAborted();
    const gradient = results[name];
    if (!(gradient instanceof Float32Array)) throw new BenchCheckError(`the gradient of ${name}`, "missing", "there");
    const norm = Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0));
    const weights = await readFloats(model.store, name);
    const lossAt = async (way: number): Promise<number> => {
      await model.store.write(
        name,
        weights.map((weight, at) => weight + (way * (gradient[at] ?? 0)) / norm),
      );
      const { loss: got = [] } = await program.run(batch);
      return got[0] ?? Number.NaN;
    };
    const slope = ((await lossAt(step)) - (await lossAt(-step))) / (2 * step);
    await model.store.write(name, weights);
    if (!(Math.abs(slope - norm) <= 0.02 * norm))
      throw new BenchCheckError(
        `the gradient of ${name}`,
        `of norm ${norm.toPrecision(6)}`,
        `${slope.toPrecision(6)}, as finite differences say`,
      );
  }
  await program.dispose();
}

/** Small enough for the second derivative to cancel, large enough to exceed rounding. */
const step = 0.02;

/** The embedding, a product and a norm of some layers, and the head. */
function parametersToCheck(parameters: readonly ParameterSpec[]): ParameterSpec[] {
  const linear = parameters.filter(({ role }) => role === "linear");
  const norms = parameters.filter(({ role }) => role === "norm");
  const picked = [
    parameters.find(({ role }) => role === "embedding"),
    linear[0],
    linear.at(-2),
    norms.at(-1),
    linear.at(-1),
  ];
  return picked.filter((spec) => spec !== undefined);
}
