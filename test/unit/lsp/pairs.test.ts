/** Preference files over the wire: margins, problems, lists and hovers of pairs. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeAll, expect, test } from "vitest";
import { createCpuDevice } from "../../../server/engine/cpu/device.ts";
import { loadModel } from "../../../server/models/checkpoint.ts";
import { loadTokenizer } from "../../../server/models/tokenizer.ts";
import { ReadTokens } from "../../../server/protocol/lens.ts";
import { ChooseRun, ComparePair } from "../../../server/protocol/lens-state.ts";
import { DescribePair, PairsRead, type ReadPairRecord, WalkPairs } from "../../../server/protocol/pairs.ts";
import { ProblemsWanted } from "../../../server/protocol/problems.ts";
import { pairTokens } from "../../../server/tuning/preference-tokens.ts";
import { scorePairs } from "../../../server/tuning/score-pairs.ts";
import { LspClient, published } from "../../support/lsp-client.ts";
import { makeTinyRun } from "../../support/tiny-run.ts";
import { scratchFolder } from "../runs/scratch.ts";

const uri = "untitled:pairs";
const user = (content: string) => ({ role: "user", content });
const assistant = (content: string) => ({ role: "assistant", content });
const turn = "\n\nHuman: How was the film?\n\nAssistant:";
const rows = [
  { prompt: "The film was", chosen: " awful and far too long 😀.", rejected: " a wonderful surprise." },
  { chosen: `${turn} It was great, I loved it.`, rejected: `${turn} Boring.` },
  { prompt: [user("Was it good?")], chosen: [assistant("No, a bad one.")], rejected: [assistant("Yes, good.")] },
  { prompt: "A play:", chosen: " fine", rejected: " dull and slow and weak" },
  { prompt: "p", chosen: "the same", rejected: "the same" },
  { text: "A record of another kind, with words." },
  { prompt: "word ".repeat(80), chosen: "a", rejected: "b" },
];
/** What a model reads of the pairs among them. */
const texts = [
  rows[0],
  { prompt: turn, chosen: " It was great, I loved it.", rejected: " Boring." },
  {
    prompt: "\n\nHuman: Was it good?\n\nAssistant:",
    chosen: " No, a bad one.",
    rejected: " Yes, good.",
  },
  rows[3],
] as { prompt: string; chosen: string; rejected: string }[];
const lines = rows.map((row) => JSON.stringify(row));
const text = lines.join("\n");
const startOf = (line: number): number => lines.slice(0, line).reduce((sum, { length }) => sum + length + 1, 0);
const all = { uri, version: 1, ablation: null };
const whole = { ...all, mode: { kind: "learned" } as const, ranges: [{ start: 0, end: 100_000 }], maxTokens: 10_000 };

let root: string;
let run: string;
let pair: { readonly tuned: string; readonly base: string };
/** Sums of log-ratios by the scorer that DPO itself trains with. */
let sums: { readonly chosen: number; readonly rejected: number }[];
const clients: LspClient[] = [];

beforeAll(async () => {
  root = await scratchFolder();
  run = (await makeTinyRun(root)).folder;
  pair = { tuned: join(run, "tuned"), base: join(root, "base") };
  sums = await trueSums();
}, 120_000);

afterEach(async () => {
  for (const client of clients.splice(0)) await client.stop();
});

async function trueSums(): Promise<typeof sums> {
  const tokenizer = await loadTokenizer(pair.base);
  const device = await createCpuDevice({ threads: 1 });
  try {
    const tokens = texts.map((one) => {
      const made = pairTokens(one, tokenizer, { rule: "trl-1", maxTokens: 64 });
      if (made.kind === "lost") throw new Error(made.reason);
      return made.pair;
    });
    const scores = [];
    for (const [folder, prefix] of [
      [pair.tuned, ""],
      [pair.base, "base."],
    ] as const) {
      const model = await loadModel(device, folder, { prefix });
      scores.push(await scorePairs(device, model, tokens, { pairsAtOnce: tokens.length }));
    }
    const [tuned = [], base = []] = scores;
    return tuned.map(({ chosen, rejected }, at) => ({
      chosen: chosen - (base[at]?.chosen ?? Number.NaN),
      rejected: rejected - (base[at]?.rejected ?? Number.NaN),
    }));
  } finally {
    await device.close();
  }
}

async function start(options: { readonly beta?: number; readonly threshold?: number; readonly limit?: number } = {}) {
  const { threshold = 0, limit = 100 } = options;
  const client = await LspClient.start({
    options: {
      runsRoots: [join(root, "runs")],
      trusted: true,
      settings: { threads: 1, problems: { threshold, limit } },
    },
    env: { LFP_STATE_DIR: await scratchFolder() },
  });
  clients.push(client);
  return client;
}

async function compared(options: Parameters<typeof start>[0] = {}, document = text): Promise<LspClient> {
  const client = await start(options);
  await client.ask(ComparePair, { ...pair, open: true });
  await client.open(uri, document, 1, "jsonl");
  return client;
}

const marginAt = (line: number, beta = 1): number => beta * ((sums[line]?.chosen ?? 0) - (sums[line]?.rejected ?? 0));
const resultOf = (record: ReadPairRecord | undefined) => (record?.result.kind === "read" ? record.result : undefined);

test("each record's answers are read given its prompt, and its margin is DPO's own", async () => {
  const client = await compared();
  const { passages, pairs, unread } = await client.ask(ReadTokens, whole);
  expect(pairs.map(({ line, start, end }) => [line, text.slice(start, end)])).toEqual(
    [0, 1, 2, 3, 4, 6].map((line) => [line, lines[line]]),
  );
  for (const line of [0, 1, 2, 3]) {
    const read = resultOf(pairs[line]);
    expect(read?.chosen).toBeCloseTo(sums[line]?.chosen ?? Number.NaN, 3);
    expect(read?.rejected).toBeCloseTo(sums[line]?.rejected ?? Number.NaN, 3);
    expect(read?.margin).toBeCloseTo(marginAt(line), 3);
    expect(read?.isCut).toBe(false);
  }
  expect(pairs[4]?.result).toEqual({ kind: "unread", why: "both answers are the same" });
  expect(pairs[5]?.result).toEqual({ kind: "unread", why: expect.stringMatching(/its prompt has \d+ tokens, and 64/) });
  expect(unread).toMatchObject([{ failure: { code: "input" } }, { failure: { code: "input" } }]);
  const shown = passages.map(({ start, end }) => text.slice(start, end));
  expect(shown).toEqual([
    " awful and far too long 😀.",
    " a wonderful surprise.",
    " It was great, I loved it.",
    " Boring.",
    "No, a bad one.",
    "Yes, good.",
    " fine",
    " dull and slow and weak",
    "A record of another kind, with words.",
  ]);
  // An answer's first token has a value, as its prompt stands before it.
  for (const { tokens } of passages.slice(0, 8)) expect(tokens.values).not.toContain(null);
  expect(passages[8]?.tokens.values[0]).toBeNull();
});

test("words of an answer sum to what the model reads of it, by word, by token and as the words behind a margin", async () => {
  const client = await compared();
  const [byToken, byWord] = [
    await client.ask(ReadTokens, { ...whole, unit: "token" }),
    await client.ask(ReadTokens, { ...whole, unit: "word" }),
  ];
  const sumOf = (passage: (typeof byToken.passages)[number] | undefined): number =>
    passage?.tokens.values.reduce<number>((sum, value) => sum + (value ?? 0), 0) ?? Number.NaN;
  const described = await client.ask(DescribePair, { ...all, offset: startOf(3) + 5, words: 200 });
  const { words = [], rest = 0, record } = described ?? {};
  const margin = resultOf(record)?.margin ?? Number.NaN;
  expect(words.map(({ text: word }) => word).toSorted()).toEqual(["and", "and", "dull", "fine", "slow", "weak"]);
  expect(words.reduce((sum, { share }) => sum + share, 0) + rest).toBeCloseTo(margin, 6);
  const shares = (side: string): number =>
    words.filter((word) => word.side === side).reduce((sum, { share }) => sum + share, 0);
  // " fine" and " dull and slow and weak" have no punctuation: their words are all of their tokens.
  expect(shares("chosen")).toBeCloseTo(sumOf(byToken.passages[6]), 6);
  expect(shares("rejected")).toBeCloseTo(-sumOf(byToken.passages[7]), 6);
  expect(sumOf(byWord.passages[7])).toBeCloseTo(sumOf(byToken.passages[7]), 6);
  expect(await client.ask(DescribePair, { ...all, offset: startOf(5) + 3, words: 10 })).toBeNull();
  expect(await client.ask(DescribePair, { ...all, offset: startOf(4) + 3, words: 10 })).toBeNull();
});

test("a hover says a word's share of its pair's margin", async () => {
  const client = await compared();
  await client.tell(ProblemsWanted, { uri, wanted: true });
  const { words = [], record } = (await client.ask(DescribePair, { ...all, offset: startOf(3), words: 9 })) ?? {};
  const dull = words.find((word) => word.text === "dull");
  const hover = await client.hover(uri, { line: 3, character: (lines[3] ?? "").indexOf("dull") + 1 });
  const number = (value: number | undefined) => Math.abs(value ?? Number.NaN).toFixed(2);
  expect(hover).toContain("In the rejected answer: ");
  expect(hover).toMatch(
    new RegExp(
      `\\*\\*.?${number(dull?.share)}\\*\\* of the pair's margin of \\*\\*.?${number(resultOf(record)?.margin)} nats\\*\\* \\(beta 1, as none is known\\)`,
    ),
  );
  expect(await client.hover(uri, { line: 5, character: 14 })).not.toContain("margin");
});

test("problems are the pairs with a margin below the bound, the lowest first, each with its quick fixes", async () => {
  const negative = [0, 1, 2, 3].filter((line) => marginAt(line) < 0).toSorted((a, b) => marginAt(a) - marginAt(b));
  expect(negative.length).toBeGreaterThan(0);
  const client = await compared();
  await client.tell(ProblemsWanted, { uri, wanted: true });
  const { diagnostics } = await client.heard(published, (told) => told.diagnostics.length === negative.length);
  expect(diagnostics.map(({ range }) => range.start.line)).toEqual(negative);
  const [first] = diagnostics;
  const line = negative[0] ?? 0;
  expect(first).toMatchObject({ code: "pair-disagreement", severity: 3, source: "LFP Lens" });
  expect(first?.message).toContain(`margin −${Math.abs(marginAt(line)).toFixed(2)} nats = 1 ×`);
  expect(first?.message).toContain("beta 1, as none is known");
  const { start, end } = first?.range ?? { start: { line: 0, character: 0 }, end: { line: 0, character: 0 } };
  expect(lines[line]?.slice(start.character, end.character)).toBe('"chosen"');
  const actions = await client.connection.sendRequest("textDocument/codeAction", {
    textDocument: { uri },
    range: first?.range,
    context: { diagnostics: [first] },
  });
  expect(actions).toMatchObject([
    { title: "Show the words behind the margin", command: { command: "lfpLens.showPairWords" } },
    { title: "List all pairs that were learned the other way", command: { command: "lfpLens.listPairs" } },
    { title: "Ignore this pair", command: { command: "lfpLens.ignoreWord" } },
  ]);
});

test("a bound keeps weaker pairs, a limit further ones and a person ignored ones from being problems", async () => {
  const negative = [0, 1, 2, 3].filter((line) => marginAt(line) < 0).toSorted((a, b) => marginAt(a) - marginAt(b));
  const lowest = Math.abs(marginAt(negative[0] ?? 0));
  const bounded = await compared({ threshold: lowest + 0.5 });
  await bounded.tell(ProblemsWanted, { uri, wanted: true });
  await bounded.heard(PairsRead, ({ counts }) => counts.read === 4);
  expect((await bounded.heard(published)).diagnostics).toEqual([]);
  const doubled = [...lines, ...lines.map((line) => line.replace("film", "book").replace("play", "poem"))].join("\n");
  const limited = await compared({ limit: 1 }, doubled);
  await limited.tell(ProblemsWanted, { uri, wanted: true });
  const { diagnostics } = await limited.heard(published, (told) => told.diagnostics.length === 2);
  expect(diagnostics[1]).toMatchObject({
    code: "pair-disagreement-limit",
    message: expect.stringMatching(
      /^\d+ more pairs? w(as|ere) learned the other way; lfpLens\.problems\.limit is 1\.$/,
    ),
  });
});

test("the editor is told how many pairs were read and learned as given, of the version that it has", async () => {
  const client = await compared();
  await client.tell(ProblemsWanted, { uri, wanted: true });
  const agreed = [0, 1, 2, 3].filter((line) => marginAt(line) > 0).length;
  const counts = { read: 4, agreed, unread: 2 };
  expect(await client.heard(PairsRead, (told) => told.counts.read === 4 && told.counts.unread === 2)).toEqual({
    uri,
    version: 1,
    counts,
  });
  await client.change(uri, lines.slice(0, 2).join("\n"), 2);
  const changed = await client.heard(PairsRead, ({ version }) => version === 2);
  expect(changed.counts.read).toBeLessThanOrEqual(2);
});

test("a walk goes through the pairs from a line on, both ways, and stops at one that differs", async () => {
  const client = await compared();
  const differing = [0, 1, 2, 3].filter((line) => !(marginAt(line) > 0));
  const forwards = await client.ask(WalkPairs, { ...all, from: 0, direction: 1 });
  expect(forwards.differing.map(({ line }) => line)).toEqual(differing);
  expect(forwards).toMatchObject({ counts: { read: 4, unread: 2 }, next: null, lines: rows.length });
  const backwards = await client.ask(WalkPairs, { ...all, from: 6, direction: -1, untilDiffers: true });
  expect(backwards.differing.map(({ line }) => line)).toEqual(differing.slice(-1));
  expect(await client.failure(WalkPairs, { ...all, version: 3, from: 0, direction: 1 })).toMatchObject({
    code: "stale",
  });
});

test("a run that was tuned by DPO has its own beta, under an ablation too", async () => {
  const path = join(run, "experiment.json");
  const before = await readFile(path, "utf8");
  const { preset: _, ...rest } = JSON.parse(before);
  await writeFile(path, JSON.stringify({ preset: "quick-preferences", ...rest }));
  try {
    const client = await start();
    await client.ask(ChooseRun, { runFolder: run });
    await client.open(uri, text, 1, "jsonl");
    const { pairs } = await client.ask(ReadTokens, whole);
    const read = resultOf(pairs[0]);
    if (read === undefined) throw new Error("not read");
    expect(read.margin).toBeCloseTo(0.1 * (read.chosen - read.rejected), 9);
    // The run's own texts begin with a token, and no token ends sampled answers.
    expect(Math.abs(read.chosen - (sums[0]?.chosen ?? 0))).toBeGreaterThan(1e-3);
    const features = Array.from({ length: 24 }, (_one, at) => ({ id: `L0/F${at}`, factor: 0 }));
    const ablation = { format: "lfp-ablation/1" as const, features };
    const ablated = await client.ask(ReadTokens, { ...whole, ablation });
    expect(resultOf(ablated.pairs[0])?.chosen).not.toBeCloseTo(read.chosen, 3);
    await client.tell(ProblemsWanted, { uri, wanted: true });
    const hover = await client.hover(uri, { line: 0, character: (lines[0] ?? "").indexOf("awful") + 1 });
    expect(hover).toMatch(/In the chosen answer: \*\*.+\*\* of the pair's margin of \*\*.+ nats\*\* \(beta 0\.1\)/);
    const implicit = await client.ask(ReadTokens, { ...whole, mode: { kind: "implicit" }, unit: "word" });
    expect(implicit.passages.map(({ start, end }) => text.slice(start, end)).slice(0, 1)).toEqual([
      " awful and far too long 😀.",
    ]);
    expect(implicit.passages[0]?.tokens.starts.length).toBe(5);
    expect(implicit.pairs).toEqual(pairs);
  } finally {
    await writeFile(path, before);
  }
});
