import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { Random } from "../../../server/common/random.ts";
import { readAnswers } from "../../../server/pipeline/artifacts/collected-answers.ts";
import { readContrasts } from "../../../server/pipeline/artifacts/contrasts.ts";
import { parseExperiment } from "../../../server/pipeline/experiment/resolve.ts";
import { openLens } from "../../../server/pipeline/finished/open-lens.ts";
import { planExperiment } from "../../../server/pipeline/plan-experiment.ts";
import { reportSchema } from "../../../server/pipeline/report/document.ts";
import { loadProbe } from "../../../server/probe/format.ts";
import { probeRewards } from "../../../server/probe/linear-probe.ts";
import { runPipeline } from "../../../server/runs/run.ts";
import { readRecord } from "../../../server/runs/run-folder.ts";
import { useStateFolder } from "../../support/state-folder.ts";

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

describe("a run on pairs classifies answers", { timeout: 240_000 }, () => {
  let folder = "";
  const outputs = new Map<string, string>();
  beforeAll(async () => {
    folder = join(stateFolder(), "run");
    const file = join(stateFolder(), "preferences.jsonl");
    await writeFile(file, pairs());
    const experiment = parseExperiment({
      preset: "preferences",
      name: "tiny",
      data: { source: { file }, heldOut: 0.5 },
      tuning: { steps: 2, warmupSteps: 1 },
      divergence: { layers: 1 },
      sae: { multiples: [1, 2], maxTokens: 4096, batchTokens: 512, bufferTokens: 2048, contextLength: 64 },
      classify: { resamples: 20, labelShuffles: 2, asPublished: true },
    });
    const plan = await planExperiment(experiment, { run: "tiny" });
    await runPipeline(plan, folder, { seed: 1, deviceClass: "cpu", queued: false });
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
});

function answers({ positive, negative }: Awaited<ReturnType<typeof readContrasts>>[number]): string[] {
  return [positive, negative].map(({ text, start }) => text.slice(start));
}
