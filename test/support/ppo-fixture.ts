/** The stored PPO values, checked on reading; make_ppo.py made them. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { z } from "zod";

const numbers = z.array(z.number());

const signal = z.strictObject({
  name: z.string(),
  /** B */
  rows: z.int().positive(),
  gamma: z.number(),
  lambda: z.number(),
  klCoefficient: z.number(),
  whitenRewards: z.boolean(),
  mask: numbers,
  logProbs: numbers,
  referenceLogProbs: numbers,
  scores: numbers,
  values: numbers,
  tokenRewards: numbers,
  kls: numbers,
  /** 0 outside the mask, as the two below. */
  advantages: numbers,
  returns: numbers,
  whitened: numbers,
  explainedVariance: z.number().nullable(),
});

const controller = z.strictObject({
  coefficient: z.number(),
  kl: z.number(),
  target: z.number(),
  horizon: z.number(),
  episodes: z.number(),
  next: z.number(),
});

const loss = z.strictObject({
  name: z.string(),
  clipRange: z.number(),
  valueClipRange: z.number(),
  valueCoefficient: z.number(),
  ratioThreshold: z.number(),
  vocabulary: z.int(),
  mask: numbers,
  ids: z.array(z.int()),
  logits: numbers,
  values: numbers,
  oldLogProbs: numbers,
  oldValues: numbers,
  advantages: numbers,
  returns: numbers,
  expected: z.strictObject({
    loss: z.number(),
    policyLoss: z.number(),
    valueLoss: z.number(),
    ratio: z.number(),
    approxKl: z.number(),
    clipFraction: z.number(),
    valueClipFraction: z.number(),
  }),
  entropies: numbers,
  logitsGradient: numbers,
  valuesGradient: numbers,
});

const ids = z.array(z.int().nonnegative());

const run = z.strictObject({
  settings: z.strictObject({
    epochs: z.int(),
    learningRate: z.number(),
    weightDecay: z.number(),
    maxGradientNorm: z.number(),
    gamma: z.number(),
    lambda: z.number(),
    clipRange: z.number(),
    valueClipRange: z.number(),
    valueCoefficient: z.number(),
    kl: z.strictObject({ coefficient: z.number(), target: z.number(), horizon: z.number() }),
    /** The longest prompt and the longest completion. */
    promptTokens: z.int(),
    newTokens: z.int(),
  }),
  valueHead: z.strictObject({ weight: numbers, bias: numbers }),
  /** What was sampled at each step, end-of-text tokens included, and its reward. */
  batches: z.array(z.array(z.strictObject({ prompt: ids, completion: ids, score: z.number() }))),
  steps: z.array(
    z.strictObject({
      kl: z.number(),
      klCoefficient: z.number(),
      entropy: z.number(),
      explainedVariance: z.number(),
      rewardMean: z.number(),
      tokens: z.int(),
      policyLoss: z.number(),
      valueLoss: z.number(),
      approxKl: z.number(),
      gradientNorm: z.number(),
    }),
  ),
  /** Some parameters after the last step, by name. */
  final: z.record(z.string(), numbers),
});
export type PpoRun = z.infer<typeof run>;

const fixture = z.strictObject({
  signals: z.array(signal),
  controllers: z.array(controller),
  losses: z.array(loss),
  run,
});

/** Throws `ZodError` when the file does not hold what is expected. */
export function readPpoFixture(): z.infer<typeof fixture> {
  return fixture.parse(
    JSON.parse(readFileSync(fileURLToPath(new URL("../fixtures/ppo/ppo.json", import.meta.url)), "utf8")),
  );
}
