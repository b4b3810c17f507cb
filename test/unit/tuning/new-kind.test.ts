/** Walks the recipe "A way of tuning" of CONTRIBUTING.md with a way that nobody has: it makes one tensor grow, whatever the feedback says. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { type LoadedModel, readFloats, saveModel } from "../../../server/models/checkpoint.ts";
import { rewardSettingsOf } from "../../../server/pipeline/experiment/feedback-settings.ts";
import { parseExperiment } from "../../../server/pipeline/experiment/resolve.ts";
import { completionSettingsOf } from "../../../server/pipeline/experiment/tuning-settings.ts";
import { feedback } from "../../../server/pipeline/feedback.ts";
import { summariseStage } from "../../../server/pipeline/finished/summaries.ts";
import { planExperiment } from "../../../server/pipeline/plan-experiment.ts";
import { reportSchema } from "../../../server/pipeline/report/document.ts";
import { tuneStageOf } from "../../../server/pipeline/stages/tune.ts";
import type { Measure } from "../../../server/protocol/measures.ts";
import { runPipeline } from "../../../server/runs/run.ts";
import { readRecord, runPaths } from "../../../server/runs/run-folder.ts";
import {
  type Checkpoint,
  isPlanned,
  type OutsideInput,
  type PlannedStage,
  planStage,
} from "../../../server/runs/stage.ts";
import type { Tuner, TunerInput, TunerStep, TunerTable } from "../../../server/tuning/tuner.ts";
import type { TuningTable } from "../../../server/tuning/tuning-kind.ts";
import { chartsOf } from "../../../webviews/curves/series.ts";
import { tinyExperiment } from "../pipeline/tiny-experiment.ts";

/** Its settings, as a file of its own would have them. */
const GrowConfig = z.strictObject({ kind: z.literal("grow"), steps: z.int().positive(), rate: z.number() }).readonly();
type GrowConfig = z.infer<typeof GrowConfig>;

interface Kinds {
  readonly grow: GrowConfig;
}

/** Its row in `tunings`: what is known of it before it runs. */
const tunings: TuningTable<Kinds> = {
  grow: {
    facts: ({ steps, rate }) => ({
      inWords: `growth by ${rate} in each of ${steps} steps`,
      fewestTexts: { field: "steps", count: 1 },
      steps,
      completions: 0,
      learnsFrom: "reward",
      preference: null,
      memory: { lora: null, textsAtOnce: { field: "steps", count: 1 } },
    }),
    withSteps: (config, steps) => ({ ...config, steps }),
    keyed: (config) => ({ ...config }),
  },
};

const grown = "gpt_neox.layers.1.mlp.dense_4h_to_h.weight";

/** Its tuner, as a file of its own would have it. */
class GrowTuner implements Tuner {
  readonly measures: readonly Measure[] = [{ id: "size", column: "size", title: "Size", short: "size" }];
  readonly #config: GrowConfig;
  readonly #policy: LoadedModel;
  readonly #texts: readonly string[];
  #done: number;

  constructor(policy: LoadedModel, { texts }: TunerInput, config: GrowConfig, saved: Checkpoint | undefined) {
    this.#config = config;
    this.#policy = policy;
    this.#texts = texts;
    this.#done = saved === undefined ? 0 : z.int().parse(saved.state);
  }

  get steps(): number {
    return this.#config.steps;
  }

  get done(): number {
    return this.#done;
  }

  async step(): Promise<TunerStep> {
    this.#done += 1;
    const size = (1 + this.#config.rate) ** this.#done;
    return { metrics: { step: this.#done, size }, shown: { text: this.#texts[0] ?? "" } };
  }

  capture() {
    return { state: this.#done };
  }

  async save(folder: string): Promise<void> {
    const { store } = this.#policy;
    const factor = (1 + this.#config.rate) ** this.#done;
    await store.write(
      grown,
      (await readFloats(store, grown)).map((weight) => factor * weight),
    );
    await saveModel(this.#policy, folder);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Its row in `tuners`. */
const tuners: TunerTable<Kinds> = {
  grow: async (input, config, saved) => new GrowTuner(await input.loadPolicy(), input, config, saved),
};

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-grow-"));
});
afterAll(() => rm(folder, { recursive: true }));

test("a whole run goes through it to the report, and curves and summaries show what it says that it measures", async () => {
  const tuning = GrowConfig.parse({ kind: "grow", steps: 3, rate: 0.5 });
  expect(tunings.grow.facts(tuning).inWords).toBe("growth by 0.5 in each of 3 steps");
  const experiment = parseExperiment({ ...tinyExperiment, name: "grown" });
  const plan = await planExperiment(experiment, { run: "grown" });
  const made = plan.find(({ id }) => id === "tune");
  const { model, texts } = made?.inputs ?? {};
  if (made === undefined || model === undefined || texts === undefined) throw new Error("the plan tunes nothing");
  const grow = planStage({
    id: "tune",
    stage: tuneStageOf(feedback, tuners),
    settings: { tuning, ...completionSettingsOf(experiment), reward: rewardSettingsOf(experiment) },
    inputs: { model, texts },
    publishAs: "tuned",
  });
  const root = join(folder, "grown");
  const outcome = await runPipeline(withStage(plan, made, grow), root, { seed: 1, deviceClass: "cpu", queued: false });
  expect(outcome).toEqual({ kind: "done" });

  const tune = (await readRecord(root))?.stages.find(({ id }) => id === "tune");
  const log = (await readFile(runPaths(root).log, "utf8"))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(log.filter(({ stage }) => stage === "tune").slice(0, 2)).toEqual([
    { stage: "tune", measures: [{ id: "size", column: "size", title: "Size", short: "size" }] },
    { stage: "tune", step: 1, size: 1.5, text: expect.stringMatching(/\w/) },
  ]);
  expect(chartsOf(log)[0]).toMatchObject({ id: "size", xs: [1, 2, 3], curves: [{ values: [1.5, 2.25, 3.375] }] });
  expect(await summariseStage("tune", join(root, tune?.output ?? ""))).toBe("3 steps, size 1.50 to 3.38");

  const report = reportSchema.parse(JSON.parse(await readFile(join(root, "report.json"), "utf8")));
  const divergence = report.sections.flatMap(({ tables }) => tables).find(({ id }) => id === "divergence");
  expect(divergence?.rows.filter((row) => Number(row[1]) > 0).map((row) => row[0])).toEqual([
    "layer 1",
    "MLPs",
    "MLPs of the studied layers",
  ]);
});

/** The plan with another stage in the place of one, on the same inputs. */
function withStage(plan: readonly PlannedStage[], place: PlannedStage, stage: PlannedStage): PlannedStage[] {
  const known = new Map<PlannedStage, PlannedStage>();
  const placed = (one: PlannedStage): PlannedStage => {
    const found = known.get(one) ?? {
      ...(one === place ? stage : one),
      inputs: Object.fromEntries(Object.entries(one.inputs).map(inputOf)),
    };
    known.set(one, found);
    return found;
  };
  const inputOf = ([name, input]: [string, PlannedStage | OutsideInput]) =>
    [name, isPlanned(input) ? placed(input) : input] as const;
  return plan.map(placed);
}
