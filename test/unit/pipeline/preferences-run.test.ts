import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { starterFolder } from "../../../server/common/package-root.ts";
import { readJsonLines } from "../../../server/pipeline/artifacts/json-files.ts";
import { readPairEvaluation, readScoredPairs } from "../../../server/pipeline/artifacts/pair-evaluation.ts";
import {
  heldOutPairs,
  type PairRecord,
  readPairCounts,
  readPairs,
  tuningPairs,
} from "../../../server/pipeline/artifacts/pairs.ts";
import { sourceText, tuningTexts } from "../../../server/pipeline/artifacts/texts.ts";
import { promptKey } from "../../../server/pipeline/data/pair-split.ts";
import { reportSchema } from "../../../server/pipeline/report/document.ts";
import { readRecord, runPaths } from "../../../server/runs/run-folder.ts";
import { runLfp } from "../../support/run-lfp.ts";
import { useStateFolder } from "../../support/state-folder.ts";
import { lastingFiles } from "../runs/lasting-files.ts";
import { answersAt, faultyRows, linesOf, rowAt, tinyPreferences } from "./tiny-preferences.ts";

const stateFolder = useStateFolder("preferences");
let folder: string;
beforeAll(async () => {
  folder = stateFolder();
});

const lfp = (args: readonly string[], signal = new AbortController().signal) =>
  runLfp(args, { signal, env: process.env });

const count = 60;
const rows = Array.from({ length: count }, (_, at) => rowAt(at));

/** Writes data and experiment into a folder of their own. */
async function experimentFile(
  name: string,
  data: string,
  more: object = {},
  dataName = "pairs.jsonl",
): Promise<string> {
  const own = join(folder, name);
  await mkdir(own, { recursive: true });
  await writeFile(join(own, dataName), data);
  const experiment = { ...tinyPreferences, data: { ...tinyPreferences.data, source: { file: dataName } }, ...more };
  await writeFile(join(own, "experiment.json"), JSON.stringify(experiment));
  return join(own, "experiment.json");
}

async function outputOf(run: string, stage: string): Promise<string> {
  const found = (await readRecord(run))?.stages.find(({ id }) => id === stage)?.output;
  return join(run, found ?? "missing");
}

const said = (content: string) => ({ role: "assistant", content });

const groupsOf = (pairs: readonly PairRecord[]): Set<string> => new Set(pairs.map(({ group }) => group));

describe("a run on pairs of answers", () => {
  it("goes from a file of mixed layouts to a report, once, and ends with the same bytes when it was stopped in between", {
    timeout: 180_000,
  }, async () => {
    const path = await experimentFile("mixed", linesOf([...rows, ...faultyRows]));
    const whole = join(folder, "a", "tiny-pairs");
    const first = await lfp(["run", path, "--out", whole, "--json"]);
    expect(first.code, first.stderr).toBe(0);
    await checkData(await outputOf(whole, "prepare"));
    await checkEvaluation(whole);
    await checkReport(whole, first.stdout + first.stderr);

    await checkFinished(whole);
    const again = await lfp(["run", path, "--out", whole, "--json"]);
    expect(again.code).toBe(0);
    expect((await readRecord(whole))?.stages.map(({ status }) => status)).toEqual(expect.not.arrayContaining(["done"]));

    const cut = join(folder, "b", "tiny-pairs");
    const stopping = new AbortController();
    const stopped = lfp(["stage", path, "tune", "--out", cut], stopping.signal);
    stopping.abort();
    expect([75, 130]).toContain((await stopped).code);
    expect((await lfp(["stage", path, "evaluate", "--out", cut])).code).toBe(0);
    expect((await lfp(["run", path, "--out", cut])).code).toBe(0);
    expect(await lastingFiles(cut)).toEqual(await lastingFiles(whole));
  });

  it("reads the same pairs from JSONL, CSV and one layout alone", { timeout: 60_000 }, async () => {
    const pairs = Array.from({ length: 24 }, (_, at) => answersAt(at));
    const csv = ["prompt,chosen,rejected", ...pairs.map((pair) => Object.values(pair).map(quoted).join(","))].join(
      "\n",
    );
    const texts = async (name: string, data: string, dataName: string) => {
      const path = await experimentFile(name, data, {}, dataName);
      const run = join(folder, `${name}-run`);
      expect((await lfp(["stage", path, "prepare", "--out", run])).code).toBe(0);
      const prepared = await outputOf(run, "prepare");
      const read = [...(await readPairs(prepared, tuningPairs)), ...(await readPairs(prepared, heldOutPairs))];
      return read.map(({ prompt, chosen, rejected }) => ({ prompt, chosen, rejected }));
    };
    const expected = await texts("jsonl", linesOf(pairs), "pairs.jsonl");
    expect(expected.toSorted((a, b) => (a.chosen < b.chosen ? -1 : 1))).toEqual(
      pairs.toSorted((a, b) => (a.chosen < b.chosen ? -1 : 1)),
    );
    expect(await texts("csv", csv, "pairs.csv")).toEqual(expected);
  });

  it("writes messages out by the model's chat template, and says which texts it wrote", {
    timeout: 60_000,
  }, async () => {
    const model = join(folder, "chat-model");
    await mkdir(model);
    for (const name of ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"])
      await copyFile(join(starterFolder(), name), join(model, name));
    const template =
      "{% if messages[0].content == 'no' %}{{ raise_exception('no') }}{% endif %}" +
      "{% for m in messages %}[{{ m.role }}] {{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";
    await writeFile(join(model, "chat_template.jinja"), template);
    const refused = { prompt: [{ role: "user", content: "no" }], chosen: [said("a")], rejected: [said("b")] };
    const path = await experimentFile("chat", linesOf([...rows, refused]), { model });
    const run = join(folder, "chat-run");
    const ran = await lfp(["stage", path, "prepare", "--out", run]);
    expect(ran.code, ran.stderr).toBe(0);
    const prepared = await outputOf(run, "prepare");
    const pairs = await readPairs(prepared, tuningPairs);
    expect(pairs.find(({ form }) => form === "template")).toMatchObject({
      prompt: expect.stringMatching(/^\[user\] What was .*<\|endoftext\|>\[assistant\]$/),
      chosen: expect.stringMatching(/^ It was .*<\|endoftext\|>$/),
    });
    expect((await readPairCounts(prepared)).read.data).toMatchObject({
      forms: { template: count / 2, texts: count / 2 },
      refused: 1,
      unshared: 0,
    });
    const texts = await readJsonLines(prepared, tuningTexts, sourceText);
    for (const { text, templated } of texts) expect(templated === true).toBe(text.startsWith("[user]"));
    expect(texts.filter(({ templated }) => templated).length).toBeGreaterThan(10);
  });

  it("takes a model that is tuned already, whose beta is not known", { timeout: 120_000 }, async () => {
    const tuned = join(folder, "a", "tiny-pairs", "tuned");
    const path = await experimentFile("given", linesOf(rows), { tuning: { kind: "given", model: tuned } });
    const run = join(folder, "given-run");
    const ran = await lfp(["run", path, "--out", run]);
    expect(ran.code, ran.stderr).toBe(0);
    expect(await readPairEvaluation(await outputOf(run, "evaluate"))).toMatchObject({ beta: 1, isTuned: false });
    expect(ran.stdout).toContain("its beta is not known");
  });

  it.each<[string, string, object, RegExp]>([
    [
      "no-pairs",
      linesOf([{ question: "a secret", good: "b" }]),
      {},
      /none of the 1 rows .* gives a pair.*question, good/,
    ],
    ["one-prompt", linesOf([0, 30, 60].map((at) => answersAt(at))), {}, /3 pairs of 1 different prompts/],
    [
      "too-few",
      linesOf(rows.slice(0, 8)),
      {},
      /\d pairs can be learned from, but a batch needs 8: give more pairs, or lower batchSize/,
    ],
    [
      "too-long",
      linesOf(rows),
      { tuning: { ...tinyPreferences.tuning, pairs: { from: "data", tokens: { rule: "trl-1", maxTokens: 3 } } } },
      /none of the 60 pairs can be learned from \(60: the prompt alone is as long as the limit\)/,
    ],
  ])("fails with its reason and without a text of the data: %s", async (name, data, more, message) => {
    const path = await experimentFile(name, data, more);
    const ran = await lfp(["stage", path, "tune", "--out", join(folder, `${name}-run`)]);
    expect(ran.code).not.toBe(0);
    expect(ran.stderr).toMatch(message);
    expect(ran.stderr).not.toMatch(/secret|wonderful|terrible/);
  });

  it.each<[object, RegExp]>([
    [{ data: { source: "starter" } }, /data\.source: must name a file or data set of pairs/],
    [
      { reward: { kind: "vader", lexicon: "head", text: "full", edits: [] } },
      /reward\.kind: must be "none" for the task pairs/,
    ],
    [
      { tuning: { pairs: { from: "data", tokens: { maxTokens: 9999 } } } },
      /maxTokens: .*9999 tokens; the model's context holds 256/,
    ],
    [{ data: { field: "review" } }, /data\.field: has no effect/],
    [{ task: "sentiment" }, /reward\.kind: must be a feedback that rates words[\s\S]*preset preferences/],
  ])("is refused before anything is computed where its sections do not fit: %j", async (more, message) => {
    const path = await experimentFile("unfit", linesOf(rows));
    const file = JSON.parse(await readFile(path, "utf8"));
    const merged = Object.fromEntries(
      Object.entries({ ...file, ...more }).map(([key, value]) => [
        key,
        typeof value === "object" && typeof file[key] === "object" ? { ...file[key], ...value } : value,
      ]),
    );
    await writeFile(path, JSON.stringify(merged));
    const ran = await lfp(["run", path, "--out", join(folder, "unfit-run")]);
    expect(ran.code).toBe(2);
    expect(ran.stderr).toMatch(message);
  });
});

const quoted = (cell: string): string => `"${cell.replaceAll('"', '""')}"`;

/** Rows by rule and fault; no prompt on both sides, whatever its spaces; every pair once. */
async function checkData(prepared: string): Promise<void> {
  const { read, sets } = await readPairCounts(prepared);
  expect(read.data).toMatchObject({
    rows: count + faultyRows.length,
    rules: { given: 30, transcript: 15, sharedMessages: 15 },
    faults: { equalAnswers: 1, emptyAnswer: 1, moreAnswers: 1, fields: 1 },
    drawn: count,
    forms: { texts: 30, plain: 30 },
    lost: {},
  });
  const tuning = await readPairs(prepared, tuningPairs);
  const heldOut = await readPairs(prepared, heldOutPairs);
  expect(new Set([...tuning, ...heldOut].map(({ id }) => id)).size).toBe(count);
  expect([sets.tuning.pairs, sets.heldOut.pairs]).toEqual([tuning.length, heldOut.length]);
  expect(heldOut.length).toBeGreaterThanOrEqual(count / 4);
  expect([...groupsOf(tuning)].filter((group) => groupsOf(heldOut).has(group))).toEqual([]);
  const prompts = new Set(tuning.map(({ prompt }) => promptKey(prompt)));
  expect(heldOut.filter(({ prompt }) => prompts.has(promptKey(prompt)))).toEqual([]);
  // Prompts repeat, so that groups have several pairs.
  expect(groupsOf(tuning).size).toBeLessThan(tuning.length);
}

/** The evaluation's numbers, worked out anew from the log-probabilities of every pair. */
async function checkEvaluation(run: string): Promise<void> {
  const output = await outputOf(run, "evaluate");
  const found = await readPairEvaluation(output);
  const scored = await readScoredPairs(output);
  expect(scored.length).toBe(found.pairs);
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const margins = scored.map(({ base, tuned }) => tuned.chosen - base.chosen - tuned.rejected + base.rejected);
  expect(found.margin.mean).toBeCloseTo(mean(margins), 10);
  expect(found.accuracy.mean).toBeCloseTo(mean(margins.map((margin) => Number(margin > 0))), 10);
  expect(found.lossBy.tuned.mean).toBeCloseTo(mean(margins.map((margin) => Math.log(1 + Math.exp(-0.1 * margin)))), 10);
  expect(found.lossBy.base.mean).toBeCloseTo(Math.LN2, 12);
  const likelier = (role: "base" | "tuned") => mean(scored.map((one) => Number(one[role].chosen > one[role].rejected)));
  expect(found.likelihood.change.mean).toBeCloseTo(likelier("tuned") - likelier("base"), 10);
  for (const { mean: value, low, high } of [found.accuracy, found.margin, found.likelihood.change]) {
    expect(low).toBeLessThanOrEqual(value);
    expect(high).toBeGreaterThanOrEqual(value);
  }
  // Four steps on words that only one side has are enough to learn the preference.
  expect(found.accuracy.low).toBeGreaterThan(0.5);
}

/** What is done with a finished run works on it, or says why it does not. */
async function checkFinished(run: string): Promise<void> {
  const listed = await lfp(["features", run, "--count", "3", "--json"]);
  expect(listed.code, listed.stderr).toBe(0);
  const [{ id }] = JSON.parse(listed.stdout).rows;
  expect((await lfp(["feature", run, id])).stdout).toContain("Strongest");
  const text = join(folder, "text.txt");
  await writeFile(text, "It was a wonderful film, and not a terrible one.");
  const scored = await lfp(["score", text, "--run", run, "--json"]);
  expect(scored.code, scored.stderr).toBe(0);
  expect(JSON.parse(scored.stdout).summary.tokens).toBeGreaterThan(5);
  const refused = await lfp(["calibrate", join(run, "experiment.json"), "--sets", "1"]);
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toMatch(/the task pairs is about pairs of answers/);
}

/** Every table names its stage, and neither the log nor what was printed holds a text of the data. */
async function checkReport(run: string, printed: string): Promise<void> {
  const report = reportSchema.parse(JSON.parse(await readFile(join(run, "report.json"), "utf8")));
  expect(report.summary.join(" ")).toContain("Tuning learned the preference on held-out pairs");
  const tables = report.sections.flatMap((section) => section.tables);
  expect(tables.map(({ id }) => id)).toEqual(
    expect.arrayContaining(["preference", "pair-rows", "pair-sets", "divergence", "sae-quality", "similarity"]),
  );
  for (const table of tables) {
    expect(table.source).toMatchObject({ run: "tiny-pairs", seed: 1 });
    for (const row of table.rows) expect(row).toHaveLength(table.columns.length);
  }
  const markdown = await readFile(join(run, "report.md"), "utf8");
  const { log, events } = runPaths(run);
  for (const text of [printed, await readFile(log, "utf8"), await readFile(events, "utf8")])
    expect(text).not.toMatch(/wonderful|terrible|orchard/);
  // Explanations of features quote single words.
  expect(markdown).not.toMatch(/It was a|What was the/);
}
