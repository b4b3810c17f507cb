/**
 * Times PPO steps as test/bench/pytorch_ppo.py does in PyTorch: the paper's sizes (64 prompts of 2 to 9 tokens,
 * completions of 8 to 19, 4 epochs in mini-batches of 16), random ids as prompts, and a reward that costs next to
 * nothing on both sides.
 */

import { Random } from "../common/random.ts";
import type { Device } from "../engine/device.ts";
import { plainReward } from "../rewards/reward.ts";
import type { PpoStep } from "../tuning/ppo.ts";
import { ppoPresets } from "../tuning/ppo-config.ts";
import { openPpoTuner } from "../tuning/ppo-tuner.ts";
import { paperSampling } from "../tuning/sampling-config.ts";
import type { TuningKinds } from "../tuning/tunings.ts";
import { medianOf } from "./timing.ts";
import { nameOf, openSubject, type TunedModel } from "./tuning-subject.ts";

export interface PpoBenchOptions {
  readonly device: Device;
  readonly model: TunedModel;
  /** Timed steps, after one that warms up. */
  readonly steps: number;
  /** Overrides of the paper's settings, for quicker checks. */
  readonly overrides?: Partial<TuningKinds["ppo"]>;
}

/** One line of `lfp bench ppo --json`. Shares are of the step's time; seconds per step are medians. */
export interface PpoBenchResult {
  readonly name: "ppo";
  readonly device: string;
  readonly model: string;
  readonly dtype: "float32";
  readonly batch: number;
  readonly miniBatch: number;
  readonly epochs: number;
  readonly steps: number;
  readonly stepSeconds: number;
  readonly fastestStepSeconds: number;
  readonly episodesPerSecond: number;
  readonly newTokensPerSecond: number;
  readonly samplingShare: number;
  readonly scoringShare: number;
  readonly trainingShare: number;
  /** CPU time of the whole process, all threads. */
  readonly cpuSecondsPerStep: number;
  readonly peakRssMB: number;
  /** "ok", or what is wrong with the numbers that the timed steps computed. */
  readonly check: string;
}

export async function benchPpo(options: PpoBenchOptions): Promise<PpoBenchResult> {
  const { device, steps } = options;
  const config = { ...ppoPresets.paper, ...options.overrides, steps: steps + 1, warmupSteps: 0 };
  const subject = await openSubject(device, options.model);
  const random = Random.fromSeed(1);
  const { vocabSize } = subject.reference.config;
  const texts = randomTexts(vocabSize, config.batchSize, random.fork("texts"));
  const completing = { sampling: paperSampling, text: { prependBos: false } };
  const trainer = await openPpoTuner({ ...subject, ...completing, texts, pairs: [], reward: byLength, random }, config);
  const first = await trainer.step();
  const start = process.cpuUsage();
  const timed: PpoStep[] = [];
  while (trainer.done < trainer.steps) timed.push(await trainer.step());
  const cpu = process.cpuUsage(start);
  await trainer[Symbol.asyncDispose]();
  const totals = timed.map(({ times }) => times.totalS);
  const stepSeconds = medianOf(totals);
  const share = (part: "sampleS" | "scoreS" | "trainS"): number =>
    sum(timed.map(({ times }) => times[part])) / sum(totals);
  return {
    name: "ppo",
    device: device.kind,
    model: nameOf(options.model),
    dtype: "float32",
    batch: config.batchSize,
    miniBatch: config.miniBatchSize,
    epochs: config.epochs,
    steps,
    stepSeconds,
    fastestStepSeconds: Math.min(...totals),
    episodesPerSecond: config.batchSize / stepSeconds,
    newTokensPerSecond: sum(timed.map(({ metrics }) => metrics.tokens)) / sum(totals),
    samplingShare: share("sampleS"),
    scoringShare: share("scoreS"),
    trainingShare: share("trainS"),
    cpuSecondsPerStep: (cpu.user + cpu.system) / 1e6 / steps,
    peakRssMB: process.resourceUsage().maxRSS / 1024,
    check: checkSteps(first, timed, config),
  };
}

/**
 * Before any learning, policy and reference (two programs, one with frozen weights) must give the same
 * log-probabilities, and the sampled tokens must be as likely as draws from the scored distributions; later the policy
 * must have moved, and all numbers must be finite.
 */
function checkSteps(first: PpoStep, timed: readonly PpoStep[], config: TuningKinds["ppo"]): string {
  const { kl, surprisal, entropy, tokens } = first.metrics;
  if (Math.abs(kl) > 1e-3) return `the untrained policy's KL to its reference is ${kl}`;
  if (Math.abs(surprisal - entropy) > 0.5)
    return `sampled tokens cost ${surprisal} nats, drawn at an entropy of ${entropy}`;
  const [fewest, most] = [config.batchSize, config.batchSize * paperSampling.newTokens.max];
  if (tokens < fewest || tokens > most) return `${tokens} tokens in a step; expected ${fewest} to ${most}`;
  const last = timed.at(-1)?.metrics ?? first.metrics;
  const numbers = Object.entries(last).filter(([, value]) => typeof value === "number" && !Number.isFinite(value));
  if (numbers.length > 0) return `${numbers.map(([name]) => name).join(", ")} of the last step not finite`;
  return last.approxKl < rounding ? "the policy did not learn" : "ok";
}

/** The two programs' log-probabilities differ by about 1e-6; approxKl is half the square of that. */
const rounding = 1e-10;

/** Two batches of texts of random ids, none of which is the end-of-text token; tuning takes their first tokens. */
function randomTexts(vocabSize: number, batchSize: number, random: Random): string[] {
  const id = (): string => `${1 + random.integer(vocabSize - 1)} `;
  return Array.from({ length: 2 * batchSize }, () => Array.from({ length: 200 }, id).join(""));
}

/** A text's length modulo 7, as a share. */
const byLength = plainReward("bench/length", "completion", (text) => (text.length % 7) / 7);

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
