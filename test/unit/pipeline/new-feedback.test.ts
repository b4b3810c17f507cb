/** Walks "To add a feedback" and "To add a task" of CONTRIBUTING.md: kinds of this test's own run through the stages of an experiment. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { evaluationFile, evaluationSchema } from "../../../server/pipeline/artifacts/evaluation.ts";
import { readJson } from "../../../server/pipeline/artifacts/json-files.ts";
import { readLogRatios } from "../../../server/pipeline/artifacts/log-ratios.ts";
import { readTriples } from "../../../server/pipeline/artifacts/triples.ts";
import { feedbackIssues, rewardSettingsOf } from "../../../server/pipeline/experiment/feedback-settings.ts";
import { parseExperiment } from "../../../server/pipeline/experiment/resolve.ts";
import { tuningOf } from "../../../server/pipeline/experiment/schema.ts";
import { completionSettingsOf } from "../../../server/pipeline/experiment/tuning-settings.ts";
import { feedbackOf } from "../../../server/pipeline/feedback.ts";
import { findModels, planPrepare } from "../../../server/pipeline/plan-inputs.ts";
import { logRatioStage } from "../../../server/pipeline/stages/log-ratio.ts";
import { triplesStageOf } from "../../../server/pipeline/stages/triples.ts";
import { evaluateStageOf, tuneStageOf } from "../../../server/pipeline/stages/tune.ts";
import { type JudgedText, plainReward } from "../../../server/rewards/reward.ts";
import { type RewardKinds, type RewardTable, rewards } from "../../../server/rewards/rewards.ts";
import { NoWordRatingsError, type WordRatings } from "../../../server/rewards/word-ratings.ts";
import { runPipeline } from "../../../server/runs/run.ts";
import { readRecord } from "../../../server/runs/run-folder.ts";
import { type PlannedStage, planStage } from "../../../server/runs/stage.ts";
import type { SourceText, Task, Triple, TripleSet } from "../../../server/tasks/task.ts";
import { type TaskKinds, type TaskTable, tasks } from "../../../server/tasks/tasks.ts";
import { tuners } from "../../../server/tuning/tuners.ts";
import { scratchFolder } from "../runs/scratch.ts";
import { tinyExperiment } from "./tiny-experiment.ts";

/** A reward that counts a letter in a completion. It judges whole texts: no word has a rating. */
interface LettersSettings {
  readonly kind: "letters";
  readonly letter: string;
}

const countOf = (text: string, letter: string): number => text.split(letter).length - 1;

const lettersReward = ({ letter }: LettersSettings, text: JudgedText) =>
  plainReward(`letters/${letter}`, text, (judged) => countOf(judged, letter));

type Rewards = RewardKinds & { readonly letters: LettersSettings };
const allRewards: RewardTable<Rewards> = {
  ...rewards,
  letters: {
    open: async (settings, text) => lettersReward(settings, text),
    ratings: () => undefined,
    models: () => [],
    files: () => [],
    issues: async () => [],
    cost: () => undefined,
    inWords: ({ letter }) => `number of "${letter}"`,
  },
};

/** A task whose triples are sentences with one word, with its opposite instead, and with a word without a rating. */
interface OppositesSettings {
  readonly words: readonly [positive: string, negative: string, neutral: string];
}

function oppositesTask({ words }: OppositesSettings, ratings: WordRatings): Task {
  return {
    name: "opposites",
    ratings,
    makeTriples: async (texts, { limit = Number.POSITIVE_INFINITY }) => tripleSet([...texts], words, limit),
  };
}

function tripleSet(texts: readonly SourceText[], words: OppositesSettings["words"], limit: number): TripleSet {
  const [positive, negative, neutral] = words;
  const triples = texts.flatMap(({ id, text }): Triple[] => {
    const start = text.indexOf(` ${positive} `) + 1;
    if (start === 0) return [];
    const side = (word: string) => ({
      text: text.slice(0, start) + word + text.slice(start + positive.length),
      word,
      start,
      end: start + word.length,
    });
    const own = { positive: side(positive), negative: side(negative), neutral: side(neutral) };
    return [{ id: `${id}#0`, source: id, original: "positive", ...own }];
  });
  const made = triples.slice(0, limit);
  const counts = { texts: texts.length, passages: texts.length, negativePassages: 0, negativeWords: 1 };
  return {
    triples: made,
    counts: {
      ...counts,
      positivePassages: triples.length,
      triples: made.length,
      positiveWords: 1,
      neutralWords: 1,
      equalTokens: 0,
      unlisted: 0,
      overCap: 0,
      tooLong: 0,
    },
  };
}

type Tasks = TaskKinds & { readonly opposites: OppositesSettings };
const allTasks: TaskTable<Tasks> = {
  ...tasks,
  opposites: {
    description: "opposites: one word is liked and another one is not",
    make: (settings, ratings) => oppositesTask(settings, ratings()),
  },
};

const own = feedbackOf<Rewards, Tasks>({ rewards: allRewards, tasks: allTasks });
const letters = { kind: "letters", letter: "e" } as const;

/** The experiment's stages on feedback and task of this test's own; the last one asks the letters for ratings of words. */
async function planOwn(): Promise<
  Readonly<Record<"evaluate" | "opposites" | "logRatios" | "sentiment", PlannedStage>>
> {
  const experiment = parseExperiment({ ...tinyExperiment, reward: { text: "completion" } });
  const tuning = tuningOf(experiment);
  if (tuning === undefined) throw new Error("the experiment has no tuning");
  const { model } = await findModels(experiment, { run: "letters" });
  const texts = await planPrepare(experiment, { run: "letters" });
  const completions = completionSettingsOf(experiment);
  const tuned = planStage({
    id: "tune",
    stage: tuneStageOf(own, tuners),
    settings: { tuning, ...completions, reward: letters },
    inputs: { model, texts },
    publishAs: "tuned",
  });
  const evaluate = planStage({
    id: "evaluate",
    stage: evaluateStageOf(own),
    settings: { ...completions, reward: letters, prompts: 32, samples: 32 },
    inputs: { model, tuned, texts },
  });
  const { texts: source, limit: _, ...triples } = experiment.triples;
  const made = { source, seed: 1, limit: 20 };
  const words = ["good", "bad", "long"] as const;
  const opposites = planStage({
    id: "opposites",
    stage: triplesStageOf(own),
    settings: { task: "opposites", reward: rewardSettingsOf(experiment), words, ...made },
    inputs: { model, texts },
  });
  const logRatios = planStage({
    id: "log-ratio",
    stage: logRatioStage,
    settings: { prependBos: experiment.text.prependBos },
    inputs: { model, tuned, triples: opposites },
  });
  const sentiment = planStage({
    id: "sentiment",
    stage: triplesStageOf(own),
    settings: { task: "sentiment", reward: letters, triples, ...made },
    inputs: { model, texts },
  });
  return { evaluate, opposites, logRatios, sentiment };
}

describe("a kind of feedback and a kind of task of one's own", { timeout: 120_000 }, () => {
  it("tune a model, are measured by it and read it; what needs ratings of words says that there are none", async () => {
    const root = await scratchFolder();
    const folder = join(root, "letters");
    const options = { seed: 1, deviceClass: "cpu", queued: false, stateFolder: root };
    const { evaluate, opposites, logRatios, sentiment } = await planOwn();
    expect(await runPipeline([evaluate, opposites, logRatios], folder, options)).toMatchObject({ kind: "done" });

    const record = await readRecord(folder);
    const output = (id: string): string =>
      join(folder, record?.stages.find((stage) => stage.id === id)?.output ?? "none");
    const [measured = "", ...log] = (await readFile(join(output("tune"), "log.jsonl"), "utf8")).trim().split("\n");
    expect(JSON.parse(measured)).toHaveProperty("measures");
    expect(log).toHaveLength(tinyExperiment.tuning.steps);
    for (const { rewardMean, best, worst } of log.map((line) => JSON.parse(line))) {
      // Whole numbers over 16 completions: the letters, not VADER's fifths of tenths.
      expect(rewardMean * 16).toBeCloseTo(Math.round(rewardMean * 16), 6);
      const [most = 0, least = 0] = [best, worst].map((line) => countOf(line.split(" → ")[1], "e"));
      expect(least).toBeLessThan(rewardMean);
      expect(rewardMean).toBeLessThan(most);
    }
    const evaluation = await readJson(output("evaluate"), evaluationFile, evaluationSchema);
    expect(evaluation.samples).toHaveLength(32);
    for (const { base, tuned } of evaluation.samples)
      for (const { completion, reward } of [base, tuned]) expect(reward).toBe([...completion.matchAll(/e/g)].length);
    const mean = evaluation.samples.reduce((sum, { tuned }) => sum + tuned.reward, 0) / 32;
    expect(evaluation.tuned.mean).toBeCloseTo(mean, 12);
    expect(evaluation.kl.mean).not.toBe(0);

    const triples = await readTriples(output("opposites"));
    expect(triples.length).toBeGreaterThan(4);
    for (const { positive, negative } of triples)
      expect([positive, negative].map(({ text, start, end }) => text.slice(start, end))).toEqual(["good", "bad"]);
    const lambdas = await readLogRatios(output("log-ratio"));
    expect(lambdas).toHaveLength(3 * triples.length);
    expect(lambdas.every((lambda) => Number.isFinite(lambda))).toBe(true);
    expect(lambdas.some((lambda) => lambda !== 0)).toBe(true);

    const outcome = await runPipeline([sentiment], join(root, "sentiment"), options);
    expect(outcome).toMatchObject({
      kind: "failed",
      code: "input",
      message: expect.stringMatching(
        /^the task "sentiment" needs ratings of words, but a reward of kind "letters" rates/,
      ),
    });
  });

  it("say what words are worth only where they rate them", () => {
    expect(own.ratingsOf(letters)).toBeUndefined();
    expect(() => own.needRatings(letters, "stage calibrate")).toThrow(NoWordRatingsError);
    expect(own.ratingsOf({ kind: "vader", lexicon: "head" })?.values.get("good")).toBe(1.9);
    expect(
      own.taskOf({ task: "opposites", reward: { kind: "vader", lexicon: "head" }, words: ["a", "b", "c"] }).name,
    ).toBe("opposites");
  });

  it("are refused before anything is computed where the task needs ratings that the feedback does not have", () => {
    const { limit: _, texts: __, ...triples } = parseExperiment(tinyExperiment).triples;
    expect(feedbackIssues({ task: "sentiment", reward: { kind: "vader", lexicon: "head" }, triples }, own)).toEqual([]);
    expect(feedbackIssues({ task: "sentiment", reward: letters, triples }, own)).toEqual([
      expect.objectContaining({ path: "reward.kind", message: expect.stringContaining('"letters" rates none') }),
    ]);
  });
});
