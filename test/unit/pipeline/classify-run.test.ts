import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { Random } from "../../../server/common/random.ts";
import { createCpuDevice } from "../../../server/engine/cpu/device.ts";
import { ablationFile, ablationSchema } from "../../../server/pipeline/artifacts/ablation.ts";
import { attributionFile, attributionSchema } from "../../../server/pipeline/artifacts/attribution.ts";
import { readAnswers } from "../../../server/pipeline/artifacts/collected-answers.ts";
import { readContrasts } from "../../../server/pipeline/artifacts/contrasts.ts";
import { readJson } from "../../../server/pipeline/artifacts/json-files.ts";
import { readScoredPairs } from "../../../server/pipeline/artifacts/pair-evaluation.ts";
import { heldOutPairs, readPairs } from "../../../server/pipeline/artifacts/pairs.ts";
import { parseExperiment } from "../../../server/pipeline/experiment/resolve.ts";
import { ablateRun } from "../../../server/pipeline/finished/ablate-run.ts";
import { openLens } from "../../../server/pipeline/finished/open-lens.ts";
import { planExperiment } from "../../../server/pipeline/plan-experiment.ts";
import { reportSchema } from "../../../server/pipeline/report/document.ts";
import { loadProbe } from "../../../server/probe/format.ts";
import { probeRewards } from "../../../server/probe/linear-probe.ts";
import { DescribeToken } from "../../../server/protocol/lens.ts";
import { ChooseRun } from "../../../server/protocol/lens-state.ts";
import { ProblemsWanted } from "../../../server/protocol/problems.ts";
import { runPipeline } from "../../../server/runs/run.ts";
import { readRecord } from "../../../server/runs/run-folder.ts";
import { FeatureStore } from "../../../server/store/store.ts";
import { LspClient } from "../../support/lsp-client.ts";
import { jsonOf, runLfp } from "../../support/run-lfp.ts";
import { useStateFolder } from "../../support/state-folder.ts";
import { tinyStudy } from "./tiny-preferences.ts";

const stateFolder = useStateFolder("classify");

/** Three pairs to each of 24 prompts, whose chosen answers are longer. */
function pairs(): string {
  const random = Random.fromSeed(1);
  const pick = (words: readonly string[]) => words[random.integer(words.length)] ?? "";
  const subjects = ["film", "story", "ending", "music"];
  return Array.from({ length: 72 }, (_, at) => {
    const [subject, other] = [pick(subjects), pick(subjects)];
    return `${JSON.stringify({
      prompt: `Question ${at % 24}: what do you think of the ${subjects[at % 4]}?`,
      chosen: ` The ${subject} was ${pick(["great", "wonderful", "lovely"])}, and I liked the ${other} too.`,
      rejected: ` The ${subject} was ${pick(["bad", "boring", "awful"])}.`,
    })}\n`;
  }).join("");
}

const RUN = { seed: 1, deviceClass: "cpu", queued: false } as const;

describe("a run on pairs classifies answers", { timeout: 240_000 }, () => {
  let folder = "";
  const outputs = new Map<string, string>();
  /** Contrasts are of held-out pairs unless the file of others is named. */
  const experimentWith = (contrasts: { file?: string }) =>
    parseExperiment({
      preset: "preferences",
      name: "tiny",
      data: { source: { file: join(stateFolder(), "preferences.jsonl") }, heldOut: 0.5 },
      tuning: { steps: 2, warmupSteps: 1 },
      divergence: { layers: 1 },
      sae: { multiples: [1, 2], maxTokens: 4096, batchTokens: 512, bufferTokens: 2048, contextLength: 64 },
      ...tinyStudy,
      classify: { ...tinyStudy.classify, asPublished: true },
      contrasts,
    });
  const run = async (experiment: ReturnType<typeof experimentWith>, where: string) => {
    await runPipeline(await planExperiment(experiment, { run: "tiny" }), where, RUN);
  };
  beforeAll(async () => {
    folder = join(stateFolder(), "run");
    await writeFile(join(stateFolder(), "preferences.jsonl"), pairs());
    const experiment = experimentWith({});
    await run(experiment, folder);
    await writeFile(join(folder, "experiment.json"), JSON.stringify(experiment));
    for (const { id, output = "" } of (await readRecord(folder))?.stages ?? []) outputs.set(id, join(folder, output));
  }, 240_000);

  const of = (id: string) => outputs.get(id) ?? "";

  it("on held-out pairs, with whole prompts on one side, and says so in the report with Table 3 and Figure 5", async () => {
    const contrasts = await readContrasts(of("contrasts"));
    expect(contrasts).toHaveLength(36);
    expect(new Set(contrasts.map(({ group }) => group)).size).toBe(12);
    const { report } = await loadProbe(join(folder, "probe"));
    if (report.kind !== "classification") throw new Error(`the probe is a ${report.kind}`);
    expect(report).toMatchObject({ contrasts: 36, groups: 12, cut: 0, neutral: { answers: 36 } });
    expect(Object.values(report.baselines)).not.toContain(null);
    // Length tells all, and nothing is left of it among pairs of equal length, of which there are none.
    expect(report.baselines.length?.pairAccuracy.value).toBe(1);
    expect(report.lengthMatched).toMatchObject({ contrasts: 0, probe: null });
    expect(report.asPublished?.testRows).toBe(Math.ceil(0.2 * new Set(contrasts.flatMap(answers)).size));
    const { sections } = reportSchema.parse(JSON.parse(await readFile(join(folder, "report.json"), "utf8")));
    const section = sections.find(({ title }) => title === "Liked answers and disliked ones, told by the probe");
    expect(section?.tables.map(({ id }) => id)).toEqual(["table-3", "classification-differences", "table-3-paper"]);
    expect(section?.figures).toMatchObject([{ id: "figure-separability", groups: [{ name: "liked answers" }, {}] }]);
  });

  it("the lens reads such a run: an answer's log-odds are the mean of its tokens' numbers", async () => {
    const [contrast] = await readContrasts(of("contrasts"));
    if (contrast === undefined) throw new Error("the run has contrasts");
    const { features } = await readAnswers(of("collect-tuned"));
    const { probe } = await loadProbe(join(folder, "probe"));
    const [expected = Number.NaN] = probeRewards(probe, features.rows, { low: 0, high: 0 });
    const lens = await openLens(folder, { threads: 1 });
    const { text, start } = contrast.positive;
    const reading = await lens.read(text);
    const tokens = [...reading.starts.keys()].filter((token) => (reading.ends[token] ?? 0) > start);
    const mean = tokens.reduce((sum, token) => sum + (reading.implicit[token] ?? 0), 0) / tokens.length;
    expect(mean).toBeCloseTo(expected, 4);
    expect(lens.info).toMatchObject({ task: "pairs", hasTrueReward: false, hasBase: true, hasFitted: false });
    expect(lens.evidence).toMatchObject({ kind: "classification", contrasts: 36 });
    const token = tokens.at(-2) ?? 0;
    const span = { start: reading.starts[token] ?? 0, end: reading.ends[token] ?? 0, firstToken: token };
    const { trust, trueReward } = lens.explain(text, reading, { ...span, endToken: token + 1 }, 5);
    expect([trueReward, trust.kind]).toEqual([null, "classification"]);
    await lens.close();
  });

  it("the lens and lfp score --pairs read the margins that the run evaluated, with its beta", async () => {
    const evaluated = await readScoredPairs(of("evaluate"));
    const margins = evaluated.map(
      ({ tuned, base }) => 0.1 * (tuned.chosen - base.chosen - (tuned.rejected - base.rejected)),
    );
    const lens = await openLens(folder, { threads: 1 });
    expect(lens.info.beta).toBe(0.1);
    const pairs = (await readPairs(of("prepare"), heldOutPairs)).slice(0, 6);
    for (const [at, { promptAlone: _, ...pair }] of pairs.entries()) {
      const read = await lens.readPreference(pair);
      if (read.kind === "refused") throw new Error(read.why);
      expect(0.1 * (read.chosen.sum - read.rejected.sum)).toBeCloseTo(margins[at] ?? Number.NaN, 4);
      expect(read.chosen.tokens).toBe(evaluated[at]?.lengths.chosen);
    }
    await lens.close();
    const file = join(stateFolder(), "held-out.jsonl");
    await writeFile(file, pairs.map((pair) => `${JSON.stringify(pair)}\n`).join(""));
    const scored = jsonOf(await runLfp(["score", file, "--pairs", "--run", folder, "--threads", "1", "--json"]));
    expect(scored).toMatchObject({ beta: 0.1, betaFrom: "run", summary: { rows: 6, read: 6, unread: 0 } });
    const read = z.object({ pairs: z.array(z.object({ margin: z.number() })) }).parse(scored);
    for (const [at, { margin }] of read.pairs.entries()) expect(margin).toBeCloseTo(margins[at] ?? Number.NaN, 4);
  });

  it("a hover says what the number is, and how many answers the probe and their length alone tell right", async () => {
    const client = await LspClient.start({
      options: { runsRoots: [stateFolder()], trusted: true, settings: { threads: 1, reading: "implicit" } },
      env: { LFP_STATE_DIR: join(stateFolder(), "state") },
    });
    await client.ask(ChooseRun, { runFolder: folder });
    await client.open("untitled:a", "Question 1: what do you think of the film? The film was wonderful.");
    await client.tell(ProblemsWanted, { uri: "untitled:a", wanted: true });
    const at = { uri: "untitled:a", version: 1, ablation: null, features: 5, offset: 59 };
    const detail = await client.ask(DescribeToken, at);
    expect(detail?.trust).toMatchObject({ kind: "classification", contrasts: 36 });
    const said = (await client.hover("untitled:a", { line: 0, character: 59 })) ?? "";
    await client.stop();
    expect(said).toMatch(/part of the log-odds that an answer is liked, which are the mean over the answer's tokens/);
    expect(said).toMatch(/Of the answers of 36 pairs, whose prompts it had not seen, the probe tells \d+ % right/);
    expect(said).toMatch(/; by length alone \d+ %; chance is 50 %\)/);
  });

  it("removing what carries the preference is measured on held-out pairs, from the margins that evaluation found", async () => {
    const attribution = await readJson(of("attribute"), attributionFile, attributionSchema);
    expect(attribution).toMatchObject({ objective: "margin", completions: 48 });
    const { set, beside, frequencies } = await readJson(of("ablate"), ablationFile, ablationSchema);
    expect([set.measure, set.features.length, frequencies]).toEqual(["margin", 4, undefined]);
    expect(set.conditions.map(({ kind }) => kind)).toEqual([
      "none",
      "this",
      "mean",
      "reconstruction",
      "random",
      "random",
    ]);
    // The first 16 held-out pairs, of which each prompt counts once.
    const scored = (await readScoredPairs(of("evaluate"))).slice(0, 16);
    const margins = Map.groupBy(scored, ({ group }) => group);
    const meanOver = (value: (margin: number) => number): number => {
      const means = [...margins.values()].map(
        (own) =>
          own.reduce(
            (sum, { base, tuned }) => sum + value(tuned.chosen - base.chosen - (tuned.rejected - base.rejected)),
            0,
          ) / own.length,
      );
      return means.reduce((sum, mean) => sum + mean, 0) / means.length;
    };
    expect(set.prompts).toBe(margins.size);
    const [none, removed] = set.conditions;
    expect(none?.reward.level.mean).toBeCloseTo(
      meanOver((margin) => margin),
      3,
    );
    expect(none?.derived?.["accuracy"]?.level.mean).toBeCloseTo(
      meanOver((margin) => Number(margin > 0)),
      6,
    );
    const loss = meanOver((margin) => Math.log1p(Math.exp(-0.1 * margin)));
    expect(none?.derived?.["preferenceLoss"]?.level.mean).toBeCloseTo(loss, 4);
    expect(removed?.reward.change?.mean).not.toBe(0);
    expect(removed?.loss?.change?.mean).not.toBe(0);
    expect(beside.length).toBeGreaterThan(1);
    const { sections, summary } = reportSchema.parse(JSON.parse(await readFile(join(folder, "report.json"), "utf8")));
    const section = sections.find(({ title }) => title === "The model without these features");
    expect(section?.tables.map(({ id }) => id)).toContain("ablation-preferences");
    expect(JSON.stringify(section)).not.toMatch(/reward|completion/);
    expect(summary.join("\n")).toMatch(/Removing 4 features that carry most of what tuning raised .* the mean margin/);
  });

  it("a finished run's features can be ablated later", async () => {
    const [id = ""] = (await readJson(of("ablate"), ablationFile, ablationSchema)).set.features.map((one) => one.id);
    const device = await createCpuDevice({ threads: 2 });
    using store = FeatureStore.open(join(folder, "features.sqlite"));
    const features = [{ id, factor: 2 }];
    const result = await ablateRun({
      folder,
      device,
      store,
      features,
      prompts: 6,
      draws: 1,
      completions: 4,
      seed: null,
    });
    await device.close();
    expect(result).toMatchObject({ measure: "margin", completions: 1, features });
    expect(store.need(id).ablations.map(({ measure }) => measure)).toContain("margin");
  });

  it("contrasts of a file give the same probe as the pairs that they were made of", async () => {
    const file = join(of("contrasts"), "contrasts.jsonl");
    const before = await readFile(join(folder, "probe", "probe.json"), "utf8");
    await run(experimentWith({ file }), folder);
    const record = await readRecord(folder);
    const contrasts = record?.stages.find(({ id }) => id === "contrasts");
    expect([contrasts?.stage, contrasts?.status]).toEqual(["given-contrasts", "done"]);
    expect(await readFile(join(folder, "probe", "probe.json"), "utf8")).toBe(before);
    const missing = experimentWith({ file: join(folder, "none.jsonl") });
    await expect(planExperiment(missing, { run: "tiny" })).rejects.toThrow(/there is no file .*none\.jsonl/);
  });
});

function answers({ positive, negative }: Awaited<ReturnType<typeof readContrasts>>[number]): string[] {
  return [positive, negative].map(({ text, start }) => text.slice(start));
}
