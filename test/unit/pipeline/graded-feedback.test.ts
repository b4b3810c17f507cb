/** PPO on the starter learns what each kind of feedback rewards, where that is no lexicon. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { evaluationFile, evaluationSchema } from "../../../server/pipeline/artifacts/evaluation.ts";
import { readJson } from "../../../server/pipeline/artifacts/json-files.ts";
import { feedbackCost } from "../../../server/pipeline/experiment/feedback-settings.ts";
import { parseExperiment } from "../../../server/pipeline/experiment/resolve.ts";
import { planExperiment } from "../../../server/pipeline/plan-experiment.ts";
import { rewardSection } from "../../../server/pipeline/report/reward-section.ts";
import { partColumn } from "../../../server/protocol/measures.ts";
import { runPipeline } from "../../../server/runs/run.ts";
import { readRecord } from "../../../server/runs/run-folder.ts";
import { chartsOf } from "../../../webviews/curves/series.ts";
import { FakeOpenAi } from "../../support/fake-openai.ts";
import { useStateFolder } from "../../support/state-folder.ts";
import { scratchFolder } from "../runs/scratch.ts";
import { tinyExperiment } from "./tiny-experiment.ts";

useStateFolder("graded");
const gradeOf = (completion: string): number => Math.min(5, completion.split(/\bI\b/).length);

describe("an experiment's feedback on whole texts", { timeout: 180_000 }, () => {
  let server: FakeOpenAi;
  beforeAll(async () => {
    server = await FakeOpenAi.start();
    server.answer = ({ body }) => {
      const { completion } = JSON.parse(body.messages[1]?.content ?? "{}");
      return JSON.stringify({ grade: gradeOf(completion), why: "" });
    };
  });
  afterAll(() => server.stop());

  const experimentWith = (reward: object) =>
    parseExperiment({
      ...tinyExperiment,
      name: "graded",
      reward,
      tuning: { steps: 8, batchSize: 64, miniBatchSize: 32, epochs: 2 },
      sampling: { rows: 64 },
      evaluate: { prompts: 128 },
    });

  /** Tunes and evaluates; the evaluation and the number of grades that it took. */
  async function evaluated(reward: object) {
    const run = join(await scratchFolder(), "run");
    const before = server.seen.length;
    const planned = await planExperiment(experimentWith(reward), { run: "graded" });
    const wanted = planned.filter(({ id }) => ["prepare", "tune", "evaluate"].includes(id));
    const outcome = await runPipeline(wanted, run, { seed: 1, deviceClass: "cpu", queued: false });
    expect(outcome).toEqual({ kind: "done" });
    const output = (await readRecord(run))?.stages.find(({ id }) => id === "evaluate")?.output ?? "none";
    const evaluation = await readJson(join(run, output), evaluationFile, evaluationSchema);
    const log = (await readFile(join(run, "log.jsonl"), "utf8")).trim().split("\n");
    const lines = log.map((line) => z.record(z.string(), z.unknown()).parse(JSON.parse(line)));
    return { evaluation, lines, asked: server.seen.length - before };
  }
  const grader = () => ({
    kind: "grader",
    endpoint: server.baseUrl,
    model: "m",
    rubric: "The word I.",
    text: "completion",
  });

  it("may be a language model that grades: tuning earns higher grades, and the same run again asks for none", async () => {
    const { evaluation, asked } = await evaluated(grader());
    expect(evaluation.difference.low).toBeGreaterThan(0);
    for (const { base, tuned } of evaluation.samples)
      for (const { completion, reward } of [base, tuned]) expect(reward).toBe((gradeOf(completion) - 3) / 2);
    expect(asked).toBeGreaterThan(400);
    expect(feedbackCost(experimentWith(grader()))).toMatch(/up to 768 grades .* it stops at 1000000 tokens/);
    const again = await evaluated(grader());
    expect(again.asked).toBe(0);
    expect(again.evaluation).toEqual(evaluation);
  });

  it("may weigh several: tuning earns more of their sum, and the report has each by its name", async () => {
    const { kind, endpoint, model, rubric } = grader();
    const parts = [
      { name: "the word I", weight: 1, reward: { kind, endpoint, model, rubric } },
      { name: "praise", weight: 0.5, reward: { kind: "vader", lexicon: "head" } },
    ];
    const { evaluation, lines } = await evaluated({ kind: "weighted", text: "completion", parts });
    const steps = lines.filter(({ stage, step }) => stage === "tune" && typeof step === "number");
    expect(steps).toHaveLength(8);
    for (const step of steps) {
      const sum = parts.reduce((total, { name, weight }) => total + weight * Number(step[partColumn(name)]), 0);
      expect(sum).toBeCloseTo(Number(step["rewardMean"]), 9);
    }
    const charts = chartsOf(lines).map(({ id, title }) => [id, title]);
    expect(charts.slice(0, 3)).toEqual([
      ["reward", "Reward"],
      ["reward-part-1", "Reward by the word I, without its weight"],
      ["reward-part-2", "Reward by praise, without its weight"],
    ]);
    expect(evaluation.difference.low).toBeGreaterThan(0);
    expect(evaluation.parts?.map(({ name, weight }) => [name, weight])).toEqual(
      parts.map(({ name, weight }) => [name, weight]),
    );
    for (const role of ["base", "tuned", "difference"] as const) {
      const sum = evaluation.parts?.reduce((total, part) => total + part.weight * part[role].mean, 0);
      expect(sum).toBeCloseTo(evaluation[role].mean, 9);
    }
    const source = { run: "graded", stage: "evaluate", key: "k", seed: 1 };
    const [table] = rewardSection(evaluation, source).tables;
    expect(table?.rows.map(([what]) => what)).toEqual(
      expect.arrayContaining(["difference by praise", "tuned model, by the word I"]),
    );
    expect(table?.notes.join(" ")).toContain("1 times the word I, 0.5 times praise");
  });
});
