/**
 * Times DPO steps as test/bench/pytorch_dpo.py does in PyTorch, on the same pairs: batches of 8, the reference read for
 * every batch as TRL does by default, gradients clipped, AdamW.
 */
import { Random } from "../common/random.ts";
import type { Device } from "../engine/device.ts";
import type { Values } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import type { LoadedModel } from "../models/checkpoint.ts";
import { forward, logitsOf, plainPositions } from "../models/model.ts";
import { plainReward } from "../rewards/reward.ts";
import type { Metrics } from "../runs/stage.ts";
import { DpoConfig, dpoPresets } from "../tuning/dpo-config.ts";
import { openDpoTuner } from "../tuning/dpo-tuner.ts";
import type { LoraConfig } from "../tuning/lora-config.ts";
import { PairScorer } from "../tuning/pair-batch.ts";
import { needsOf } from "../tuning/pair-rows.ts";
import { type PreferencePair, pairTokens } from "../tuning/preference-tokens.ts";
import { batchNeeds } from "../tuning/row-shapes.ts";
import { paperSampling } from "../tuning/sampling-config.ts";
import type { TokenizedAnswer, TokenPair } from "../tuning/token-pair.ts";
import type { Tuner } from "../tuning/tuner.ts";
import { BenchCheckError, medianOf } from "./timing.ts";
import { nameOf, openSubject, type TunedModel } from "./tuning-subject.ts";

export interface DpoBenchOptions {
  readonly device: Device;
  readonly model: TunedModel;
  /** Timed steps, after one that warms up. */
  readonly steps: number;
  readonly lora?: LoraConfig;
  /** Overrides of the settings, for quicker checks. */
  readonly overrides?: Partial<Pick<DpoConfig, "batchSize" | "pairsAtOnce" | "learningRate">>;
  readonly signal?: AbortSignal;
}

/** One line of `lfp bench dpo --json`. Seconds per step are medians. */
export interface DpoBenchResult {
  readonly name: "dpo";
  readonly device: string;
  readonly model: string;
  readonly dtype: "float32";
  /** Rank of the adapters; 0: all weights are trained. */
  readonly loraRank: number;
  readonly batch: number;
  readonly maxTokens: number;
  readonly steps: number;
  readonly stepSeconds: number;
  readonly fastestStepSeconds: number;
  readonly pairsPerSecond: number;
  /** Tokens of the answers. */
  readonly answerTokensPerSecond: number;
  /** CPU time of the whole process, all threads. */
  readonly cpuSecondsPerStep: number;
  readonly peakRssMB: number;
  /** "ok", or what is wrong with the numbers that the timed steps computed. */
  readonly check: string;
}

/**
 * Checks the log-probabilities of a pair, then times steps. Throws `BenchCheckError` and what opening the tuner throws.
 */
export async function benchDpo(options: DpoBenchOptions): Promise<DpoBenchResult> {
  const { device, model, steps, lora = null, signal } = options;
  const subject = await openSubject(device, model);
  const { tokenizer, reference } = subject;
  const { vocabSize, contextLength } = reference.config;
  const tokens = { rule: "trl-1", maxTokens: Math.min(256, contextLength) } as const;
  const config = configOf(options, tokens);
  const pairs = benchPairs((steps + 1) * config.batchSize, { vocabSize, maxTokens: tokens.maxTokens });
  const made = pairs.slice(0, config.batchSize).map((pair) => pairTokens(pair, tokenizer, tokens));
  await checkLogProbs(
    device,
    reference,
    made.flatMap((one) => (one.kind === "pair" ? [one.pair] : [])),
  );
  const data = { texts: [], pairs, reward: none, sampling: paperSampling, text: { prependBos: false } };
  await using tuner = await openDpoTuner({ ...subject, ...data, random: Random.fromSeed(1), signal }, config);
  const timed = await timeSteps(tuner, signal);
  const stepSeconds = medianOf(timed.seconds);
  return {
    name: "dpo",
    device: device.kind,
    model: nameOf(model),
    dtype: "float32",
    loraRank: lora?.rank ?? 0,
    batch: config.batchSize,
    maxTokens: tokens.maxTokens,
    steps,
    stepSeconds,
    fastestStepSeconds: Math.min(...timed.seconds),
    pairsPerSecond: config.batchSize / stepSeconds,
    answerTokensPerSecond: timed.tokens / timed.seconds.reduce((sum, one) => sum + one, 0),
    cpuSecondsPerStep: timed.cpuSeconds / steps,
    peakRssMB: process.resourceUsage().maxRSS / 1024,
    check: checkSteps(timed.first, timed.last),
  };
}

function configOf(
  { steps, lora = null, overrides }: DpoBenchOptions,
  tokens: Extract<DpoConfig["pairs"], { from: "data" }>["tokens"],
): DpoConfig {
  return DpoConfig.parse({
    ...dpoPresets["quick-preferences"],
    pairs: { from: "data", tokens },
    batchSize: 8,
    pairsAtOnce: 8,
    learningRate: 5e-5,
    reference: "live",
    lora,
    ...overrides,
    steps: steps + 1,
  });
}

interface TimedSteps {
  readonly first: Metrics;
  readonly last: Metrics;
  readonly seconds: readonly number[];
  readonly cpuSeconds: number;
  /** Tokens of the answers. */
  readonly tokens: number;
}

/** Times all steps but the first. */
async function timeSteps(tuner: Tuner, signal: AbortSignal | undefined): Promise<TimedSteps> {
  const { metrics: first } = await tuner.step();
  const start = process.cpuUsage();
  const seconds: number[] = [];
  let [tokens, last] = [0, first];
  while (tuner.done < tuner.steps) {
    signal?.throwIfAborted();
    const began = performance.now();
    last = (await tuner.step()).metrics;
    seconds.push((performance.now() - began) / 1000);
    tokens += Number(last["tokens"]);
  }
  const { user, system } = process.cpuUsage(start);
  return { first, last, seconds, cpuSeconds: (user + system) / 1e6, tokens };
}

/**
 * Pairs of random ids from a generator that the Python script has too: prompts and answers of an eighth to (almost) half
 * of the tokens each, so that nothing is cut.
 */
export function benchPairs(
  count: number,
  { vocabSize, maxTokens }: { readonly vocabSize: number; readonly maxTokens: number },
): PreferencePair[] {
  let state = 1;
  const below = (n: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) % n;
  };
  const [least, span] = [maxTokens >> 3, (maxTokens >> 1) - (maxTokens >> 3)];
  const text = (): string => Array.from({ length: least + below(span) }, () => `${1 + below(vocabSize - 1)} `).join("");
  return Array.from({ length: count }, () => ({ prompt: text(), chosen: text(), rejected: text() }));
}

/**
 * Holds the summed log-probabilities of the first pair, computed in a padded batch as tuning does, against a plain
 * forward pass of each answer alone. Throws `BenchCheckError`.
 */
async function checkLogProbs(device: Device, model: LoadedModel, pairs: readonly TokenPair[]): Promise<void> {
  const scorer = await PairScorer.create(device, model, {
    shape: batchNeeds(pairs.map(needsOf)),
    pairs: pairs.length,
    frozen: false,
  });
  const [found] = await scorer.score(pairs);
  await scorer.dispose();
  const [pair] = pairs;
  if (pair === undefined || found === undefined) throw new BenchCheckError("the number of pairs", "0", "1 or more");
  for (const which of ["chosen", "rejected"] as const) {
    const expected = await plainLogProb(device, model, pair[which]);
    if (!(Math.abs(found[which] - expected) <= 1e-4 * Math.abs(expected)))
      throw new BenchCheckError(`the log-probability of a ${which} answer`, `${found[which]}`, `${expected}`);
  }
}

async function plainLogProb(device: Device, model: LoadedModel, { prompt, answer }: TokenizedAnswer): Promise<number> {
  const ids = Int32Array.from([...prompt, ...answer]);
  const shape = [1, ids.length] as const;
  const logits = ops.reshape(logitsOf(model, forward(model, { shape }).hidden), [ids.length, -1]);
  const logProbs = ops.gatherRow(ops.logSoftmax(logits), ops.input("next", [ids.length, 1], "i32"));
  const program = await device.compile({ stores: [model.store], outputs: { logProbs } });
  const next = Int32Array.from(ids, (_, at) => ids[at + 1] ?? 0);
  const results: Partial<Record<string, Values>> = await program.run({ ids, positions: plainPositions(shape), next });
  await program.dispose();
  const own = Array.from(results["logProbs"] ?? []).slice(prompt.length - 1, ids.length - 1);
  return own.reduce((sum, value) => sum + value, 0);
}

/** Before any learning policy and reference agree and the loss is log 2; later the policy must have moved. */
function checkSteps(first: Metrics, last: Metrics): string {
  const [loss, margin] = [Number(first["loss"]), Number(first["rewards/margins"])];
  if (!(Math.abs(loss - Math.LN2) < 1e-3)) return `the first loss is ${loss}, not log 2`;
  if (!(Math.abs(margin) < 1e-3)) return `the untrained policy's margin is ${margin}`;
  const bad = Object.entries(last).find(([, value]) => typeof value !== "number" || !Number.isFinite(value));
  if (bad !== undefined) return `${bad[0]} of the last step is ${bad[1]}`;
  return Math.abs(Number(last["rewards/chosen"])) < rounding ? "the policy did not learn" : "ok";
}

/** Beta times what two programs' summed log-probabilities differ by. */
const rounding = 1e-4;

/** Pairs of the data need no reward. */
const none = plainReward("bench/none", "completion", () => 0);
