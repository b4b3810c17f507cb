/** The stored DPO values, checked on reading; make_dpo.py made them. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { z } from "zod";

const numbers = z.array(z.number());
const name = z.enum(["sigmoid", "sigmoid, smoothed", "hinge", "ipo"]);
const settings = { name, beta: z.number(), labelSmoothing: z.number() };

const losses = z.strictObject({
  ...settings,
  lengths: z.tuple([numbers, numbers]),
  chosen: numbers,
  rejected: numbers,
  referenceChosen: numbers,
  referenceRejected: numbers,
  expected: z.strictObject({
    losses: numbers,
    loss: z.number(),
    chosenGradient: numbers,
    rejectedGradient: numbers,
  }),
});

const step = z.strictObject({
  loss: z.number(),
  rewardsChosen: z.number(),
  rewardsRejected: z.number(),
  rewardsMargins: z.number(),
  rewardsAccuracies: z.number(),
  logpsChosen: z.number(),
  logpsRejected: z.number(),
  gradientNorm: z.number(),
  learningRate: z.number(),
});

const values = z.record(z.string(), numbers);
const run = { ...settings, steps: z.array(step), final: values };

const ids = z.array(z.int().nonnegative());
const fixture = z.strictObject({
  losses: z.array(losses),
  settings: z.strictObject({
    steps: z.int(),
    batchSize: z.int(),
    learningRate: z.number(),
    warmupSteps: z.int(),
    weightDecay: z.number(),
    maxGradientNorm: z.number(),
    maxTokens: z.int(),
  }),
  pairs: z.array(z.strictObject({ prompt: ids, chosen: ids, rejected: ids })),
  runs: z.array(z.strictObject(run)),
  /** Adapters by their weight's name with `.lora_A` or `.lora_B`, before the first step and after the last. */
  adapters: z.strictObject({
    lora: z.strictObject({ rank: z.int(), alpha: z.number(), targets: z.array(z.string()), learningRate: z.number() }),
    runs: z.array(z.strictObject({ ...run, initial: values })),
  }),
});
export type DpoFixture = z.infer<typeof fixture>;

/** Throws `ZodError` when the file does not hold what is expected. */
export function readDpoFixture(): DpoFixture {
  return fixture.parse(
    JSON.parse(readFileSync(fileURLToPath(new URL("../fixtures/dpo/dpo.json", import.meta.url)), "utf8")),
  );
}
