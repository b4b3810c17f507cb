/** The learned reward of one run minus that of another, over the wire. */
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { starterFolder } from "../../../server/common/package-root.ts";
import { Random } from "../../../server/common/random.ts";
import { createCpuDevice } from "../../../server/engine/cpu/device.ts";
import { wordsOf } from "../../../server/lens/pair-reading.ts";
import { createModel, saveModel } from "../../../server/models/checkpoint.ts";
import { openPairLens } from "../../../server/pipeline/finished/open-pair.ts";
import { ReadTokens } from "../../../server/protocol/lens.ts";
import { CompareLearned } from "../../../server/protocol/lens-state.ts";
import { ProblemsWanted } from "../../../server/protocol/problems.ts";
import { LspClient } from "../../support/lsp-client.ts";
import { makeTinyRun } from "../../support/tiny-run.ts";
import { scratchFolder } from "../runs/scratch.ts";

let root: string;
/** Two runs of one base model, and one whose models have another tokenizer. */
let runs: { readonly a: string; readonly b: string; readonly other: string };
const clients: LspClient[] = [];

beforeAll(async () => {
  root = await scratchFolder();
  const a = (await makeTinyRun(root)).folder;
  const [b, other] = [join(root, "runs", "steady"), join(root, "runs", "other")];
  const shape = JSON.parse(await readFile(join(a, "tuned", "config.json"), "utf8"));
  const device = await createCpuDevice({ threads: 1 });
  try {
    for (const [place, seed] of [
      [join(b, "tuned"), 5],
      [join(root, "base-other"), 6],
      [join(other, "tuned"), 7],
    ] as const) {
      await saveModel(await createModel(device, shape, Random.fromSeed(seed), 0.3), place);
      for (const name of ["tokenizer.json", "tokenizer_config.json"])
        await copyFile(join(starterFolder(), name), join(place, name));
    }
  } finally {
    await device.close();
  }
  for (const place of [join(root, "base-other"), join(other, "tuned")]) await cutMerges(join(place, "tokenizer.json"));
  const experiment = (folder: string, model: string) =>
    writeFile(join(folder, "experiment.json"), JSON.stringify({ preset: "quick", model }));
  await experiment(b, join(root, "base"));
  await experiment(other, join(root, "base-other"));
  await mkdir(join(root, "runs", "begun"));
  await experiment(join(root, "runs", "begun"), join(root, "base"));
  runs = { a, b, other };
});

afterEach(async () => {
  for (const client of clients.splice(0)) await client.stop();
});

/** A tokenizer that splits words into more tokens: without its later merges. */
async function cutMerges(path: string): Promise<void> {
  const tokenizer = z
    .looseObject({ model: z.looseObject({ merges: z.array(z.unknown()) }) })
    .parse(JSON.parse(await readFile(path, "utf8")));
  const { model } = tokenizer;
  await writeFile(path, JSON.stringify({ ...tokenizer, model: { ...model, merges: model.merges.slice(0, 300) } }));
}

async function start(trusted = true): Promise<LspClient> {
  const client = await LspClient.start({
    options: { runsRoots: [join(root, "runs")], trusted, settings: { threads: 1 } },
    env: { LFP_STATE_DIR: await scratchFolder() },
  });
  clients.push(client);
  return client;
}

const uri = "untitled:a";
const text = "It is unforgettable and awful 😀.";
const all = { uri, version: 1, ranges: [{ start: 0, end: 10_000 }], ablation: null, maxTokens: 1000 };
const learned = { kind: "learned" } as const;

test("runs of one base model differ by the log-ratio of their tuned models, token by token", async () => {
  const client = await start();
  const { a, b } = runs;
  const state = await client.ask(CompareLearned, { a, b, open: true });
  const difference = { a: { folder: a, name: "tiny" }, b: { folder: b, name: "steady" }, sharesTokens: true };
  expect(state).toMatchObject({ kind: "ready", info: { kind: "pair", bos: true, difference } });
  await client.open(uri, text);
  const { passages } = await client.ask(ReadTokens, { ...all, mode: learned });
  // The base model's part cancels out: log p_a - log p_b, which the two tuned models give as a pair of their own.
  const pair = await openPairLens({ tuned: join(a, "tuned"), base: join(b, "tuned") }, { threads: 1, bos: true });
  try {
    const read = await pair.readPair(text);
    expect(passages[0]?.tokens.starts).toEqual([...read.starts]);
    expect(passages[0]?.tokens.values).toHaveLength(read.learned.length);
    for (const [at, value] of read.learned.entries())
      expect(passages[0]?.tokens.values[at]).toBeCloseTo(value ?? Number.NaN, 4);
  } finally {
    await pair.close();
  }
  expect(await client.failure(ReadTokens, { ...all, mode: { kind: "kl" } })).toMatchObject({
    message: expect.stringContaining("two runs are compared by their learned rewards alone"),
  });
});

test("a hover says the difference and both runs' learned rewards, of the word or of the token", async () => {
  const client = await start();
  await client.ask(CompareLearned, { a: runs.a, b: runs.b, open: true });
  await client.open(uri, text);
  for (const unit of ["word", "token"] as const) {
    await client.tell(ProblemsWanted, { uri, wanted: true, shown: { mode: learned, unit } });
    const said = await client.hover(uri, { line: 0, character: "It is unf".length });
    const numbers = [...(said ?? "").matchAll(/\*\*([+−]?\d+\.\d\d) nats\*\*/g)].map(([, shown = ""]) =>
      Number(shown.replace("−", "-")),
    );
    expect(numbers).toHaveLength(3);
    const [difference = 0, a = 0, b = 0] = numbers;
    expect(Math.abs(difference - (a - b))).toBeLessThanOrEqual(0.011);
    expect(said).toMatch(/learned reward of tiny minus steady: .*\n\ntiny: .* after its tuning\s+steady: /);
    expect((said ?? "").includes("“unforgettable”")).toBe(unit === "word");
  }
});

test("runs with other tokenizers are compared by words, also where tokens are asked for", async () => {
  const client = await start();
  const { a, other } = runs;
  const state = await client.ask(CompareLearned, { a, b: other, open: true });
  expect(state).toMatchObject({ info: { difference: { sharesTokens: false } } });
  await client.open(uri, text);
  const { passages } = await client.ask(ReadTokens, { ...all, mode: learned, unit: "token" });
  const { starts = [], ends = [], values = [] } = passages[0]?.tokens ?? {};
  const found = starts.map((from, at) => ({ word: text.slice(from, ends[at]), value: values[at] ?? null }));
  const [one, two] = [
    await openPairLens({ tuned: join(a, "tuned"), base: join(root, "base") }, { threads: 1, bos: true }),
    await openPairLens({ tuned: join(other, "tuned"), base: join(root, "base-other") }, { threads: 1, bos: true }),
  ];
  try {
    const [first, second] = [wordsOf(await one.readPair(text), text), wordsOf(await two.readPair(text), text)];
    expect(first.map((word) => word.text)).toEqual(["It", "is", "unforgettable", "and", "awful"]);
    for (const [at, word] of first.entries()) {
      const value = found.find((unit) => unit.word === word.text)?.value ?? Number.NaN;
      expect(value).toBeCloseTo((word.learned ?? 0) - (second[at]?.learned ?? 0), 5);
    }
    expect(found.filter(({ value }) => value !== null)).toHaveLength(5);
  } finally {
    await one.close();
    await two.close();
  }
  await client.tell(ProblemsWanted, { uri, wanted: true, shown: { mode: learned, unit: "token" } });
  expect(await client.hover(uri, { line: 0, character: 8 })).toContain("the two runs' tokenizers are not the same");
});

test("runs that cannot be compared are refused with the reason, and what was looked through stays", async () => {
  const client = await start();
  const { a, b } = runs;
  await client.ask(CompareLearned, { a, b, open: true });
  const refused = async (one: string, two: string, says: string): Promise<void> => {
    const failure = await client.failure(CompareLearned, { a: one, b: two, open: true });
    expect(failure).toMatchObject({ message: expect.stringContaining(says) });
  };
  await refused(a, a, "is compared with itself; give two runs");
  await refused(a, join(root, "runs", "begun"), "has no tuned model yet");
  await refused(a, join(root, "elsewhere"), "is in none of the folders of runs");
  await client.open(uri, text);
  const { passages } = await client.ask(ReadTokens, { ...all, mode: learned });
  expect(passages[0]?.tokens.values.some((value) => value !== null)).toBe(true);
  const restricted = await start(false);
  expect(await restricted.failure(CompareLearned, { a, b, open: true })).toMatchObject({ code: "usage" });
});
