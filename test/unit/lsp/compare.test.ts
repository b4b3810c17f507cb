/** Two checkpoints looked through without a run, over the wire. */
import { cp, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeAll, expect, test } from "vitest";
import { openPairLens } from "../../../server/pipeline/finished/open-pair.ts";
import { CompareCompletions, DescribeToken, ReadTokens, StrongestTokens } from "../../../server/protocol/lens.ts";
import {
  ChooseRun,
  ComparePair,
  ConfigurationChanged,
  type LensState,
  LensStateChanged,
} from "../../../server/protocol/lens-state.ts";
import { ProblemsWanted } from "../../../server/protocol/problems.ts";
import { failureIn, LspClient, published } from "../../support/lsp-client.ts";
import { makeTinyRun } from "../../support/tiny-run.ts";
import { PATIENT, scratchFolder } from "../runs/scratch.ts";

let root: string;
let run: string;
let pair: { readonly tuned: string; readonly base: string };
const clients: LspClient[] = [];

beforeAll(async () => {
  root = await scratchFolder();
  run = (await makeTinyRun(root)).folder;
  pair = { tuned: join(run, "tuned"), base: join(root, "base") };
});

afterEach(async () => {
  for (const client of clients.splice(0)) await client.stop();
});

async function start(trusted = true): Promise<LspClient> {
  const client = await LspClient.start({
    options: { runsRoots: [join(root, "runs")], trusted, settings: { threads: 1, problems: { threshold: 0 } } },
    env: { LFP_STATE_DIR: await scratchFolder() },
  });
  clients.push(client);
  return client;
}

const uri = "untitled:a";
const text = "A wonderful film.\n\nIt is unforgettable and awful 😀.";
const all = { uri, version: 1, ranges: [{ start: 0, end: 10_000 }], ablation: null, maxTokens: 1000 };
const learned = { kind: "learned" } as const;

test("colours, lists and hovers are of the pair, as it reads the text itself", async () => {
  const client = await start();
  const state = await client.ask(ComparePair, { ...pair, open: true });
  expect(state).toMatchObject({ kind: "ready", info: { kind: "pair", ...pair, modelType: "gpt_neox" } });
  await client.open(uri, text);
  const { passages, limit } = await client.ask(ReadTokens, { ...all, mode: learned });
  const { passages: divergences } = await client.ask(ReadTokens, { ...all, mode: { kind: "kl" } });
  expect(limit).toBeGreaterThan(0);
  const lens = await openPairLens(pair, { threads: 1 });
  try {
    const parts = text.split("\n\n");
    expect(passages.map(({ start, end }) => text.slice(start, end))).toEqual(parts);
    for (const [at, part] of parts.entries()) {
      const read = await lens.readPair(part);
      expect(passages[at]?.tokens.values).toEqual(read.learned);
      expect(divergences[at]?.tokens.values).toEqual(read.kl);
      expect(read.learned[0]).toBeNull();
    }
  } finally {
    await lens.close();
  }
  const values = passages.flatMap(({ tokens }) => tokens.values).filter((value) => value !== null);
  const { tokens, mean, count } = await client.ask(StrongestTokens, { ...all, mode: learned, limit: 3 });
  expect(count).toBe(values.length);
  expect(mean).toBeCloseTo(values.reduce((sum, value) => sum + value, 0) / values.length, 9);
  expect(Math.abs(tokens[0]?.value ?? 0)).toBe(Math.max(...values.map(Math.abs)));
});

test("a hover says a word's number, a token's with its word's sum, and what it is worth, and why a first token has none", async () => {
  const client = await start();
  await client.ask(ComparePair, { ...pair, open: true });
  await client.open(uri, text);
  await client.tell(ProblemsWanted, { uri, wanted: true });
  expect((await client.heard(published)).diagnostics).toEqual([]);
  const hover = (line: number, character: number) => client.hover(uri, { line, character });
  const { passages } = await client.ask(ReadTokens, { ...all, mode: learned });
  const [, second] = passages;
  const word = text.indexOf("unforgettable");
  const inside = [...(second?.tokens.starts.entries() ?? [])].filter(
    ([at, start]) => start < word + "unforgettable".length && (second?.tokens.ends[at] ?? 0) > word,
  );
  expect(inside.length).toBeGreaterThan(1);
  const sum = inside.reduce((total, [at]) => total + (second?.tokens.values[at] ?? Number.NaN), 0);
  const shown = await hover(2, "It is unf".length);
  expect(shown).toMatch(/^“.+” learned reward \*\*[+−]?\d+\.\d\d nats\*\*\n\nTuning made it .*\.$/m);
  const sumText = `${Math.abs(sum).toFixed(2)} nats`;
  expect(shown).toMatch(new RegExp(`^“unforgettable” learned reward \\*\\*.?${sumText}\\*\\*`));
  expect(shown).toContain(`, the sum over its ${inside.length} tokens.`);
  await client.tell(ProblemsWanted, { uri, wanted: true, shown: { mode: learned, unit: "token" } });
  const ofToken = await hover(2, "It is unf".length);
  expect(ofToken).not.toMatch(/^“unforgettable”/);
  expect(ofToken).toMatch(new RegExp(`The word “unforgettable”, the sum over its tokens: \\*\\*.?${sumText}\\*\\*`));
  expect(await hover(0, 0)).toMatch(/^“A” has no learned reward\n\nIt is the first token/);
  await client.tell(ProblemsWanted, { uri, wanted: true, shown: { mode: { kind: "kl" }, unit: "word" } });
  expect(await hover(2, "It is unf".length)).toMatch(
    /^“unforgettable” divergence \*\*\d+\.\d\d nats\*\*\n\nWhat would/,
  );
  expect(shown).toMatch(/What would come next differs by \d+\.\d\d nats/);
  expect(shown).toContain("was not measured for these two checkpoints");
  expect(shown).toContain("compared with");
});

test("what two checkpoints do not offer is refused, and says that a run does", async () => {
  const client = await start();
  await client.ask(ComparePair, { ...pair, open: true });
  await client.open(uri, text);
  const missing = { code: "not-found", message: expect.stringMatching(/choose a run/) };
  for (const kind of ["implicit", "true", "disagreement", "tunedMinusBase", "ablatedMinusNot"] as const)
    expect(await client.failure(ReadTokens, { ...all, mode: { kind } })).toEqual(missing);
  expect(await client.failure(StrongestTokens, { ...all, mode: { kind: "feature", id: "L0/F1" }, limit: 3 })).toEqual(
    missing,
  );
  expect(await client.failure(DescribeToken, { ...all, offset: 3, features: 3 })).toEqual(missing);
  const ablation = { format: "lfp-ablation/1" as const, features: [{ id: "L0/F3", factor: 0 }] };
  const prompts = { prompts: ["A film"], maxNewTokens: 4, temperature: 1, seed: 1 };
  expect(await client.failure(CompareCompletions, { ...prompts, ablation })).toEqual(missing);
  expect(await client.failure(ReadTokens, { ...all, mode: learned, ablation })).toMatchObject({
    message: expect.stringContaining("two checkpoints have none"),
  });
});

test("a pair stays until a run is chosen, also where settings change and a run is finished", async () => {
  const client = await start();
  await client.ask(ComparePair, { ...pair, open: true });
  const settings = { threads: 2, problems: { threshold: 0 } };
  const options = { runsRoots: [join(root, "runs")], trusted: true, settings };
  await client.tell(ConfigurationChanged, ConfigurationChanged.params.parse(options));
  await client.open(uri, text);
  // What is asked while the lens moves to other threads is stale; editors ask again.
  const read = () => client.ask(ReadTokens, { ...all, mode: learned }).catch(failureIn);
  await expect.poll(read, PATIENT).toMatchObject({ passages: [{}, {}] });
  const isTwo = (state: LensState) => state.kind === "ready" && state.info.device.includes("2 threads");
  expect(await client.heard(LensStateChanged, isTwo)).toMatchObject({ info: { kind: "pair" } });
  const chosen = await client.ask(ChooseRun, { runFolder: run });
  expect(chosen).toEqual({ kind: "chosen", target: { kind: "run", folder: run } });
  expect((await client.ask(ReadTokens, { ...all, mode: { kind: "implicit" } })).passages).toHaveLength(2);
});

test("checkpoints that do not belong together say why, and what was looked through before is again", async () => {
  const client = await start();
  await client.ask(ChooseRun, { runFolder: run });
  const failure = (tuned: string, base: string) => client.failure(ComparePair, { tuned, base, open: true });
  expect(await failure(pair.base, pair.base)).toEqual({
    code: "input",
    message: expect.stringMatching(/hold the same weights.*give the tuned checkpoint/),
  });
  expect(await failure(join(root, "nothing"), pair.base)).toMatchObject({
    message: expect.stringContaining("nothing"),
  });
  expect(await failure("starter", pair.base)).toEqual({
    code: "usage",
    message: expect.stringContaining("no absolute path"),
  });
  await client.open(uri, text);
  expect((await client.ask(ReadTokens, { ...all, mode: { kind: "implicit" } })).passages).toHaveLength(2);
});

test("a pair that is not opened at once is opened for the first who asks, and one that changed is opened anew", async () => {
  const client = await start();
  const copy = { tuned: join(root, "copy"), base: pair.base };
  await cp(pair.base, copy.tuned, { recursive: true });
  expect(await client.ask(ComparePair, { ...copy, open: false })).toEqual({
    kind: "chosen",
    target: { kind: "pair", ...copy },
  });
  await client.open(uri, text);
  expect(await client.failure(ReadTokens, { ...all, mode: learned })).toMatchObject({
    message: expect.stringContaining("the same weights"),
  });
  await client.heard(LensStateChanged, (state) => state.kind === "failed" && state.target.kind === "pair");
  await rm(copy.tuned, { recursive: true });
  await mkdir(copy.tuned);
  await cp(pair.tuned, copy.tuned, { recursive: true });
  await client.ask(ComparePair, { ...copy, open: false });
  expect((await client.ask(ReadTokens, { ...all, mode: learned })).passages).toHaveLength(2);
});

test("in Restricted Mode nothing is compared", async () => {
  const client = await start(false);
  const asked = client.ask(ComparePair, { ...pair, open: true });
  expect(await asked.catch(failureIn)).toEqual({
    code: "usage",
    message: expect.stringMatching(/^Comparing two checkpoints needs a trusted workspace/),
  });
});
