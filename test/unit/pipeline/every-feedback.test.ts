/**
 * PPO on the starter earns more of what each kind of feedback rewards: the interval of the gain on held-out prompts is
 * above zero. The grader and weighed feedback have the same in graded-feedback.test.ts.
 */
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { starterFolder } from "../../../server/common/package-root.ts";
import { evaluationFile, evaluationSchema } from "../../../server/pipeline/artifacts/evaluation.ts";
import { readJson } from "../../../server/pipeline/artifacts/json-files.ts";
import { parseExperiment } from "../../../server/pipeline/experiment/resolve.ts";
import { planExperiment } from "../../../server/pipeline/plan-experiment.ts";
import type { RewardConfig } from "../../../server/rewards/reward-configs.ts";
import { runPipeline } from "../../../server/runs/run.ts";
import { readRecord } from "../../../server/runs/run-folder.ts";
import { useStateFolder } from "../../support/state-folder.ts";
import { scratchFolder } from "../runs/scratch.ts";
import { tinyExperiment } from "./tiny-experiment.ts";

useStateFolder("every-feedback");

/** Trained on the starter's texts to tell praise from blame: test/fixtures/feedback/make_feedback.py. */
const trained = (name: string): string => fileURLToPath(new URL(`../../fixtures/feedback/${name}`, import.meta.url));

/** A word list of one's own: the share of a completion's words that are on it. */
const wordList = `
import { createInterface } from "node:readline";
const list = new Set(["the", "and", "of"]);
for await (const line of createInterface({ input: process.stdin })) {
  const words = JSON.parse(line).completion.toLowerCase().match(/[a-z]+/g) ?? [];
  console.log(words.length === 0 ? null : (4 * words.filter((word) => list.has(word)).length) / words.length);
}`;

const text = "completion";
/** Scaled to the size of VADER's rewards. */
const classifier = (name: string, label: string | null, output: keyof typeof scales) => ({
  kind: "classifier",
  model: trained(name),
  label,
  text,
  output,
  scale: scales[output],
});
const scales = { logit: 0.3, probability: 3 } as const;

interface Case {
  readonly kind: RewardConfig["kind"];
  /** Steps of tuning, where the usual ones leave the gain near the noise. */
  readonly steps?: number;
  readonly reward: () => object | Promise<object>;
}

const cases: Readonly<Record<string, Case>> = {
  "the ratings of a lexicon": { kind: "vader", reward: () => ({ kind: "vader", lexicon: "head" }) },
  "a program with a list of words": {
    kind: "command",
    reward: () => ({ kind: "command", command: [process.execPath, "--input-type=module", "-e", wordList], text }),
  },
  "a DistilBERT": { kind: "classifier", reward: () => classifier("distilbert", "praise", "logit") },
  "a decoder with a score head": {
    kind: "classifier",
    reward: async () => {
      const model = await scratchFolder();
      await cp(trained("gpt-neox"), model, { recursive: true });
      await cp(join(starterFolder(), "tokenizer.json"), join(model, "tokenizer.json"));
      return { ...classifier("gpt-neox", null, "probability"), model };
    },
  },
  "a classifier as ONNX": {
    kind: "classifier",
    steps: 28,
    reward: () => classifier("onnx-electra", "praise", "logit"),
  },
};

describe("tuning earns more by", { timeout: 240_000 }, () => {
  it.each(Object.entries(cases))("%s", async (_, { kind, reward, steps = 16 }) => {
    const experiment = parseExperiment({
      ...tinyExperiment,
      name: "rewarded",
      reward: await reward(),
      tuning: { steps, batchSize: 64, miniBatchSize: 32, epochs: 2 },
      sampling: { rows: 64 },
      evaluate: { prompts: 192 },
      data: { limit: 1200, heldOut: 192 },
    });
    expect(experiment.reward.kind).toBe(kind);
    const planned = await planExperiment(experiment, { run: "rewarded" });
    const wanted = planned.filter(({ id }) => ["prepare", "tune", "evaluate"].includes(id));
    const run = join(await scratchFolder(), "run");
    expect(await runPipeline(wanted, run, { seed: 1, deviceClass: "cpu", queued: false })).toEqual({ kind: "done" });
    const output = (await readRecord(run))?.stages.find(({ id }) => id === "evaluate")?.output ?? "none";
    const { difference, prompts } = await readJson(join(run, output), evaluationFile, evaluationSchema);
    // Texts too short for a prompt are left out.
    expect(prompts).toBeGreaterThan(150);
    expect(difference.low).toBeGreaterThan(0);
  });
});
