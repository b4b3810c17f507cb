import { readdirSync, readFileSync } from "node:fs";
import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeAll, expect, test } from "vitest";
import { CancellationTokenSource } from "vscode-languageserver/node";
import { z } from "zod";
import { loadProbe, saveFamiliarity } from "../../../server/probe/format.ts";
import { MeasureAblation } from "../../../server/protocol/features.ts";
import { JobProgress } from "../../../server/protocol/job-progress.ts";
import { CompareCompletions, DescribeToken, ReadTokens, StrongestTokens } from "../../../server/protocol/lens.ts";
import {
  AblationChanged,
  ChooseRun,
  ConfigurationChanged,
  type LensState,
  LensStateChanged,
} from "../../../server/protocol/lens-state.ts";
import { ProblemsWanted } from "../../../server/protocol/problems.ts";
import { StartRun } from "../../../server/protocol/runs.ts";
import { FeatureStore } from "../../../server/store/store.ts";
import { writeSyntheticStore } from "../../../server/store/synthetic.ts";
import { failureIn, LspClient, published } from "../../support/lsp-client.ts";
import { makeTinyRun } from "../../support/tiny-run.ts";
import { PATIENT, scratchFolder } from "../runs/scratch.ts";

let root: string;
let run: string;
const clients: LspClient[] = [];

beforeAll(async () => {
  root = await scratchFolder();
  run = (await makeTinyRun(root)).folder;
});

afterEach(async () => {
  for (const client of clients.splice(0)) await client.stop();
});

interface Started {
  readonly trusted?: boolean;
  readonly stateFolder?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A server that looks through the tiny run, unless it is not trusted. */
async function start({ trusted = true, stateFolder, env }: Started = {}): Promise<LspClient> {
  const client = await LspClient.start({
    options: {
      runsRoots: [join(root, "runs")],
      trusted,
      settings: { threads: 1, reading: "implicit", problems: { threshold: 0 } },
    },
    env: { ...env, LFP_STATE_DIR: stateFolder ?? (await scratchFolder()) },
  });
  clients.push(client);
  if (trusted)
    expect(await client.ask(ChooseRun, { runFolder: run })).toEqual({
      kind: "chosen",
      target: { kind: "run", folder: run },
    });
  return client;
}

const uri = "untitled:a";
const text =
  "A wonderful, terrible 😀 film.\r\nIt is great.\r\n\r\nAn awful film! I love it; how stupid L0/F3. Good and bad, happy and sad, fun and boring, perfect and poor.";
const all = { uri, version: 1, ranges: [{ start: 0, end: 10_000 }], ablation: null, maxTokens: 1000 };
const implicit = { kind: "implicit" } as const;

test("every character of the passages belongs to one token, and values follow the mode", async () => {
  const client = await start();
  await client.open(uri, text);
  const { passages, complete, limit } = await client.ask(ReadTokens, { ...all, mode: implicit });
  expect({ complete, limit: limit > 0 }).toEqual({ complete: true, limit: true });
  expect(passages.map(({ start, end }) => text.slice(start, end))).toEqual(text.split("\r\n\r\n"));
  for (const { start, end, tokens } of passages) {
    const { starts, ends, values } = tokens;
    expect([starts[0], ends.at(-1)]).toEqual([start, end]);
    expect(starts.slice(1)).toEqual(ends.slice(0, -1));
    expect(values.every((value) => Number.isFinite(value))).toBe(true);
  }
  const [first] = passages;
  const at =
    first?.tokens.starts.findIndex((start, i) => text.slice(start, first.tokens.ends[i]) === " wonderful") ?? -1;
  const part = await client.ask(ReadTokens, { ...all, mode: { kind: "true" }, ranges: [{ start: 3, end: 4 }] });
  expect(part.passages).toHaveLength(1);
  expect(part.passages[0]?.tokens.values[at]).toBe(2.7);
  const some = await client.ask(ReadTokens, { ...all, mode: implicit, maxTokens: 5 });
  expect({ passages: some.passages.length, complete: some.complete }).toEqual({ passages: 1, complete: false });
});

test("a feature's colours have one scale, whichever part of a text is read", async () => {
  const folder = join(root, "runs", "with-store");
  await cp(run, folder, { recursive: true });
  const store = join(folder, "features.sqlite");
  writeSyntheticStore(store, { layers: 2, features: 24 });
  const client = await start();
  await client.ask(ChooseRun, { runFolder: folder });
  await client.open(uri, text);
  const mode = { kind: "feature", id: "L0/F3" } as const;
  const parts = [0, text.indexOf("An awful")].map((at) => [{ start: at, end: at + 1 }]);
  const limits: number[] = [];
  for (const ranges of parts) limits.push((await client.ask(ReadTokens, { ...all, mode, ranges })).limit);
  using features = FeatureStore.openOutput(store);
  const { maxActivation } = features.need("L0/F3").row;
  expect(limits).toEqual([maxActivation, maxActivation]);
  await rm(folder, { recursive: true });
});

test("what is behind a token sums to its number", async () => {
  const client = await start();
  await client.open(uri, text);
  const { passages } = await client.ask(ReadTokens, { ...all, mode: implicit });
  const offset = text.indexOf("great");
  const detail = await client.ask(DescribeToken, { ...all, offset, features: 3 });
  const at = passages[0]?.tokens.starts.indexOf(detail?.start ?? -1) ?? -1;
  expect(detail?.implicit).toBe(passages[0]?.tokens.values[at]);
  const sum = detail?.contributions.reduce((total, { contribution }) => total + contribution, detail.intercept) ?? 0;
  expect(sum + (detail?.rest.contribution ?? 0)).toBeCloseTo(detail?.implicit ?? 0, 6);
  expect(detail).toMatchObject({ text: " great", trueReward: 3.1 });
  expect(await client.ask(DescribeToken, { ...all, offset: text.indexOf("\r\n\r\n"), features: 3 })).toBeNull();
});

test("completions before and after an ablation come from the same random numbers", async () => {
  const client = await start();
  const question = { prompts: ["The film was", "I"], maxNewTokens: 8, temperature: 1, seed: 3 };
  const compare = (features: { id: string; factor: number }[]) =>
    client.ask(CompareCompletions, { ...question, ablation: { format: "lfp-ablation/1", features } });
  const nothing = await compare([{ id: "L0/F3", factor: 1 }]);
  expect(nothing.completions.map(({ prompt }) => prompt)).toEqual(question.prompts);
  for (const { before, after, rewardBefore, rewardAfter } of nothing.completions) {
    expect(after).toBe(before);
    expect(before).not.toBe("");
    expect(rewardAfter).toBe(rewardBefore);
  }
  // Far beyond what training has seen: another text is all but certain.
  const everything = Array.from({ length: 24 }, (_, feature) => ({ id: `L1/F${feature}`, factor: -100 }));
  const changed = await compare(everything);
  expect(changed.completions.map(({ before }) => before)).toEqual(nothing.completions.map(({ before }) => before));
  expect(changed.completions.map(({ after }) => after)).not.toEqual(nothing.completions.map(({ before }) => before));
  const wrong: z.input<typeof CompareCompletions.params> = {
    ...question,
    ablation: { format: "lfp-ablation/1", features: [{ id: "L9/F1" }] },
  };
  expect(await client.failure(CompareCompletions, wrong)).toMatchObject({ code: "input" });
});

test("an answer about a version that has passed is stale, also one that is under way", async () => {
  const client = await start();
  await client.open(uri, "good ".repeat(60_000));
  const underWay = client.connection.sendRequest(StrongestTokens.method, { ...all, mode: implicit, limit: 5 });
  await client.heard(LensStateChanged, ({ kind }) => kind === "ready");
  await client.change(uri, text, 2);
  expect(await underWay.catch(failureIn)).toMatchObject({ code: "stale" });
  expect(await client.failure(ReadTokens, { ...all, mode: implicit })).toMatchObject({ code: "stale" });
  const { passages } = await client.ask(ReadTokens, { ...all, mode: implicit, version: 2 });
  expect(passages).toHaveLength(2);
  await client.connection.sendNotification("textDocument/didClose", { textDocument: { uri } });
  expect(await client.failure(ReadTokens, { ...all, mode: implicit, version: 2 })).toMatchObject({ code: "not-found" });
});

test("incremental edits, in any order that LSP allows, give the text that the editor has", async () => {
  const client = await start();
  await client.open(uri, "one\ntwo\nthree");
  const position = (line: number, character: number) => ({ line, character });
  const change = (start: object, end: object, inserted: string) => ({ range: { start, end }, text: inserted });
  await client.connection.sendNotification("textDocument/didChange", {
    textDocument: { uri, version: 2 },
    contentChanges: [change(position(2, 0), position(2, 5), "3"), change(position(0, 0), position(1, 0), "my good\n")],
  });
  await client.connection.sendNotification("textDocument/didChange", {
    textDocument: { uri, version: 3 },
    contentChanges: [change(position(0, 7), position(0, 7), " is"), change(position(0, 10), position(0, 10), " great")],
  });
  const { passages } = await client.ask(ReadTokens, { ...all, mode: implicit, version: 3 });
  const after = "my good is great\ntwo\n3";
  expect(passages.map(({ start, end }) => [start, end])).toEqual([[0, after.length]]);
  const { tokens } = await client.ask(StrongestTokens, { ...all, mode: { kind: "true" }, version: 3, limit: 2 });
  expect(tokens.map((token) => token.text)).toEqual([" great", " good"]);
});

test("a long list of the strongest words tells how far it is", async () => {
  const client = await start();
  const long = "It was great, and then it was awful.\n\n".repeat(3000);
  await client.open(uri, long);
  const asking = client.ask(StrongestTokens, { ...all, mode: implicit, limit: 5, job: "list" });
  const { done, total, message } = await client.heard(JobProgress, ({ job }) => job === "list");
  expect(total).toBe(long.length);
  expect(done).toBeGreaterThan(0);
  expect(message).toBe(`${Math.floor((100 * done) / total)} %`);
  expect((await asking).complete).toBe(true);
});

test("a question that is taken back is answered within 100 ms, in the middle of a long document", async () => {
  const client = await start();
  await client.open(uri, "It was great, and then it was awful.\n\n".repeat(20_000));
  await client.ask(ReadTokens, { ...all, mode: implicit, ranges: [{ start: 0, end: 10 }] });
  let least = Number.POSITIVE_INFINITY;
  // The machine may be busy with something else; the server is not to blame for the best of five.
  for (let attempt = 0; attempt < 5 && least >= 100; attempt += 1) {
    const taken = new CancellationTokenSource();
    const question = { ...all, mode: implicit, limit: 5 };
    const underWay = client.connection.sendRequest(StrongestTokens.method, question, taken.token);
    await client.ask(ReadTokens, { ...all, mode: implicit, ranges: [{ start: 0, end: 10 }] });
    const from = performance.now();
    taken.cancel();
    expect(await underWay.catch(failureIn)).toMatchObject({ code: "cancelled" });
    least = Math.min(least, performance.now() - from);
  }
  expect(least).toBeLessThan(100);
});

test("hovers and problems come once the document's readings are shown, and go with them", async () => {
  const client = await start();
  await client.open(uri, text);
  const hover = (offset: number) => client.hover(uri, { line: 0, character: offset });
  expect(await hover(text.indexOf("wonderful"))).toBeNull();
  await client.tell(ProblemsWanted, { uri, wanted: true });
  const { diagnostics, version } = await client.heard(published);
  expect(version).toBe(1);
  const values = await Promise.all(
    ([implicit, { kind: "true" }] as const).map(async (mode) => {
      const { passages } = await client.ask(ReadTokens, { ...all, mode });
      return passages.flatMap(({ tokens }) =>
        tokens.starts.map((start, i) => [start, tokens.values[i] ?? 0, tokens.unfamiliar.includes(i)] as const),
      );
    }),
  );
  const [read = [], meant = []] = values;
  const differing = read.filter(([, value], i) => Math.sign(value) * Math.sign(meant[i]?.[1] ?? 0) === -1);
  const familiar = differing.filter(([, , isUnfamiliar]) => !isUnfamiliar);
  expect(diagnostics).toHaveLength(familiar.length);
  expect(familiar.length).toBeGreaterThan(0);
  expect(diagnostics[0]).toMatchObject({ severity: 3, source: "LFP Lens", code: "reward-disagreement" });
  const shown = await hover(text.indexOf("wonderful"));
  expect(shown).toMatch(/^“wonderful” implicit reward \*\*.*true reward \*\*\+2\.70\*\*/);
  expect(shown).toMatch(/Of \d+ (positive|negative) words that it had not seen/);

  await client.tell(ProblemsWanted, { uri, wanted: false });
  await client.heard(published, (told) => told.diagnostics.length === 0);
  expect(await hover(text.indexOf("wonderful"))).toBeNull();
});

test("a hover says the number that the colours show, in every mode and on every piece of a word, and problems say the same", async () => {
  const client = await start();
  const line = "A precious, horribly boring film with a dreadfully charming ending.";
  await client.open(uri, line);
  const numberIn = (said: string | null | undefined): string | undefined => /\*\*([^*]+)\*\*/.exec(said ?? "")?.[1];
  const modes = [{ kind: "feature", id: "L0/F3" }, { kind: "tunedMinusBase" }, { kind: "kl" }, implicit] as const;
  let pieces = 0;
  for (const mode of modes) {
    const read = async (unit: "word" | "token") =>
      (await client.ask(ReadTokens, { ...all, mode, unit })).passages.flatMap(({ tokens: { starts, ends, values } }) =>
        starts.map((from, at) => ({ from, to: ends[at] ?? from, value: values[at] ?? null })),
      );
    const tokens = await read("token");
    await client.tell(ProblemsWanted, { uri, wanted: true, shown: { mode, unit: "word" } });
    for (const { from, to, value } of await read("word")) {
      const word = line.slice(from, to).trim();
      if (value === null || !/\w/.test(word)) continue;
      for (const token of tokens.filter((one) => one.from < to && one.to > from)) {
        const said = await client.hover(uri, { line: 0, character: token.to - 1 });
        expect(said).toContain(`“${word}”`);
        expect(numberIn(said)).toContain(Math.abs(value).toFixed(2));
        pieces += Number(token.from > from);
      }
    }
  }
  expect(pieces).toBeGreaterThan(0);
  const { diagnostics } = await client.heard(published, ({ diagnostics }) => diagnostics.length > 0);
  for (const { range, message } of diagnostics)
    expect(message).toContain(`implicit reward ${numberIn(await client.hover(uri, range.start))}`);
});

test("overlay, parts and hover are read under an ablation set, and the parts still sum to the number", async () => {
  const client = await start();
  await client.open(uri, text);
  const ablation = { format: "lfp-ablation/1" as const, features: [{ id: "L0/F2" }, { id: "L1/F3", factor: 3 }] };
  const valuesOf = async (asked: Partial<z.input<typeof ReadTokens.params>>) =>
    (await client.ask(ReadTokens, { ...all, mode: implicit, ...asked })).passages.flatMap(
      ({ tokens }) => tokens.values,
    );
  const [plain, ablated] = [await valuesOf({}), await valuesOf({ ablation })];
  const difference = await valuesOf({ mode: { kind: "ablatedMinusNot" }, ablation });
  expect(difference.some((value) => value !== 0)).toBe(true);
  for (const [i, value] of difference.entries()) expect(value).toBeCloseTo((ablated[i] ?? 0) - (plain[i] ?? 0), 6);

  const { passages } = await client.ask(ReadTokens, { ...all, mode: implicit, ablation });
  let described = 0;
  for (const { tokens } of passages)
    for (const [i, offset] of tokens.starts.entries()) {
      const detail = await client.ask(DescribeToken, { ...all, offset, ablation, features: 3 });
      if (detail === null) continue;
      const { implicit: number, intercept, contributions, rest } = detail;
      expect(number).toBe(tokens.values[i]);
      const sum = contributions.reduce(
        (total, { contribution }) => total + contribution,
        intercept + rest.contribution,
      );
      expect(Math.abs(sum - number)).toBeLessThan(1e-4);
      expect(contributions.every(({ id, contribution }) => id !== "L0/F2" || contribution === 0)).toBe(true);
      described += 1;
    }
  expect(described).toBe(ablated.length);

  await client.tell(ProblemsWanted, { uri, wanted: true });
  await client.heard(published);
  await client.tell(AblationChanged, AblationChanged.params.parse({ ablation }));
  const shown = await client.hover(uri, { line: 1, character: "It is g".length });
  const great = await client.ask(DescribeToken, { ...all, offset: text.indexOf("great"), ablation, features: 3 });
  const number = Math.abs(great?.implicit ?? Number.NaN).toFixed(2);
  expect(shown).toMatch(new RegExp(`^“great” implicit reward \\*\\*[+−]?${number}\\*\\*`));
  expect(shown).toContain("With 1 feature ablated, 1 scaled.");

  // A set that says it is another run's: no reading takes it, and hovers leave it alone.
  const foreign = { ...ablation, run: { name: "other", dictionaries: null } };
  const refused = await client.failure(ReadTokens, { ...all, mode: implicit, ablation: foreign });
  expect(refused).toMatchObject({ code: "input", message: expect.stringContaining("made for the run other") });
  await client.tell(AblationChanged, AblationChanged.params.parse({ ablation: foreign }));
  expect(await client.hover(uri, { line: 1, character: "It is g".length })).not.toContain("ablated");
  const own = { ...ablation, run: { name: "tiny", dictionaries: null } };
  expect((await client.ask(ReadTokens, { ...all, mode: implicit, ablation: own })).passages.length).toBeGreaterThan(0);
});

test("with unfamiliar tokens faded they are in no list and no mean, and in no problem; otherwise they are", async () => {
  const client = await start();
  // To the tiny run's random features few words of this text are strange.
  const strict = join(root, "runs", "strict");
  await cp(run, strict, { recursive: true });
  const { familiarity } = await loadProbe(join(strict, "probe"));
  if (familiarity === undefined) throw new Error("the run holds no familiarity");
  await saveFamiliarity(join(strict, "probe"), { ...familiarity, limit: familiarity.limit / 3 });
  await client.ask(ChooseRun, { runFolder: strict });
  await client.open(uri, text);
  const { passages } = await client.ask(ReadTokens, { ...all, mode: implicit });
  const values = passages.flatMap(({ tokens }) =>
    tokens.values.map((value, i) => ({ value: value ?? 0, far: tokens.unfamiliar.includes(i) })),
  );
  const far = values.filter((token) => token.far);
  expect(far.length).toBeGreaterThan(0);
  const question = { ...all, mode: implicit, limit: 1000 };
  const every = await client.ask(StrongestTokens, question);
  const near = await client.ask(StrongestTokens, { ...question, familiarOnly: true });
  expect([every.count, every.unfamiliar]).toEqual([values.length, 0]);
  expect([near.count, near.unfamiliar]).toEqual([values.length - far.length, far.length]);
  const mean = values.reduce((sum, { value, far: isFar }) => sum + (isFar ? 0 : value), 0) / near.count;
  expect(near.mean).toBeCloseTo(mean, 9);
  expect(every.tokens.length - near.tokens.length).toBe(far.filter(({ value }) => value !== 0).length);

  await client.tell(ProblemsWanted, { uri, wanted: true });
  const { diagnostics } = await client.heard(published);
  const settings = { threads: 1, reading: "implicit", problems: { threshold: 0 }, fadeUnfamiliar: false };
  const options = { runsRoots: [join(root, "runs")], trusted: true, settings };
  await client.tell(ConfigurationChanged, ConfigurationChanged.params.parse(options));
  const more = await client.heard(published, (told) => told.diagnostics.length !== diagnostics.length);
  expect(more.diagnostics.length).toBeGreaterThan(diagnostics.length);
});

test("there are never more problems than the cap, which says how many are left out, and none when they are switched off", async () => {
  const client = await start();
  await client.open(uri, `${text}\r\n\r\n`.repeat(4));
  await client.tell(ProblemsWanted, { uri, wanted: true });
  const every = await client.heard(published);
  const most = every.diagnostics.length - 2;
  expect(most).toBeGreaterThan(0);
  const configure = async (problems: object): Promise<void> => {
    const settings = { threads: 1, reading: "implicit", problems: { threshold: 0, ...problems } };
    const options = { runsRoots: [join(root, "runs")], trusted: true, settings };
    await client.tell(ConfigurationChanged, ConfigurationChanged.params.parse(options));
  };
  await configure({ limit: most });
  const capped = await client.heard(published, ({ diagnostics }) =>
    diagnostics.some(({ code }) => code === "reward-disagreement-limit"),
  );
  expect(capped.diagnostics.filter(({ code }) => code === "reward-disagreement")).toEqual(
    every.diagnostics.slice(0, most),
  );
  expect(capped.diagnostics.at(-1)?.message).toBe(
    `2 more disagreements are not shown; lfpLens.problems.limit is ${most}.`,
  );
  await configure({ enabled: false });
  await client.heard(published, ({ diagnostics }) => diagnostics.length === 0);
});

test("a problem has quick fixes, and an ignored word is none", async () => {
  const client = await start();
  await client.open(uri, text);
  await client.tell(ProblemsWanted, { uri, wanted: true });
  const { diagnostics } = await client.heard(published);
  const [first] = diagnostics;
  const ask = (context: object) =>
    client.connection.sendRequest("textDocument/codeAction", { textDocument: { uri }, range: first?.range, context });
  const Actions = z.array(
    z.object({
      kind: z.literal("quickfix"),
      command: z.object({ command: z.string(), arguments: z.array(z.unknown()) }),
    }),
  );
  const actions = Actions.parse(await ask({ diagnostics: [first] }));
  expect(actions.map(({ command }) => command.command)).toEqual([
    "lfpLens.showTokenFeatures",
    "lfpLens.ablateFeature",
    "lfpLens.ignoreWord",
    "lfpLens.ignoreWord",
  ]);
  const [ignored] = actions.at(-1)?.command.arguments ?? [];
  expect(ignored).toMatchObject({ uri, passage: null });
  const forged = { ...first, data: { start: 0, end: 5, word: "<img>", passage: "x" } };
  const long = { ...first, data: { start: 0, end: 2000, word: "a".repeat(2000), passage: "x" } };
  expect(await ask({ diagnostics: [forged, long, { ...first, data: 7 }] })).toEqual([]);

  const ConfigurationParams = ConfigurationChanged.params.parse({
    runsRoots: [join(root, "runs")],
    trusted: true,
    settings: { threads: 1, reading: "implicit", problems: { threshold: 0 } },
    ignored: [ignored],
  });
  await client.tell(ConfigurationChanged, ConfigurationParams);
  const fewer = await client.heard(published, (told) => told.diagnostics.length < diagnostics.length);
  expect(fewer.diagnostics).toHaveLength(diagnostics.length - 1);
});

test("the setting of the device is heeded, and without a GPU texts are read on the CPU, which says so", async () => {
  const client = await start({ env: { VK_ICD_FILENAMES: join(root, "no-driver.json"), VK_DRIVER_FILES: "" } });
  await client.open(uri, text);
  const read = await client.ask(ReadTokens, { ...all, mode: implicit });
  const before = client.told.length;
  const settings = { threads: 1, reading: "implicit", device: "gpu", problems: { threshold: 0 } };
  const options = { runsRoots: [join(root, "runs")], trusted: true, settings };
  await client.tell(ConfigurationChanged, ConfigurationChanged.params.parse(options));
  await expect
    .poll(() => client.told.slice(before).some(({ method }) => method === LensStateChanged.method))
    .toBe(true);
  expect(await client.ask(ReadTokens, { ...all, mode: implicit })).toEqual(read);
  const isOther = (state: LensState) => state.kind === "ready" && state.info.device.includes("GPU");
  expect(await client.heard(LensStateChanged, isOther)).toMatchObject({
    info: { device: expect.stringMatching(/^CPU, .+ \(no GPU adapter was found/) },
  });
});

test("what brought the server down twice is quarantined until it changes", async () => {
  const stateFolder = await scratchFolder();
  const poison = "It was great, and then it was awful. ".repeat(200).trim();
  for (const _ of [1, 2]) {
    const client = await start({ stateFolder });
    await client.open(uri, "good");
    await client.ask(ReadTokens, { ...all, mode: implicit });
    await client.change(uri, poison, 2);
    const underWay = client.connection.sendRequest(ReadTokens.method, { ...all, mode: implicit, version: 2 });
    underWay.catch(() => undefined);
    await expect.poll(() => marked(stateFolder), { ...PATIENT, interval: 1 }).toBe(true);
    await client.kill();
    clients.pop();
  }
  const client = await start({ stateFolder });
  await client.open(uri, `good\n\n${poison}`);
  const { passages, unread } = await client.ask(ReadTokens, { ...all, mode: implicit });
  expect(passages.map(({ start, end }) => [start, end])).toEqual([[0, 4]]);
  expect(unread).toMatchObject([{ start: 6, failure: { code: "quarantined" } }]);
  await client.change(uri, poison, 2);
  expect(await client.failure(ReadTokens, { ...all, mode: implicit, version: 2 })).toMatchObject({
    code: "quarantined",
    message: expect.stringContaining("2 times"),
  });
  await client.change(uri, `${poison} So!`, 3);
  expect((await client.ask(ReadTokens, { ...all, mode: implicit, version: 3 })).passages).toHaveLength(1);
});

test("a server that is asked to end in the middle of a reading is not taken for one that fell", async () => {
  const stateFolder = await scratchFolder();
  const long = "It was great, and then it was awful. ".repeat(200).trim();
  for (const _ of [1, 2, 3]) {
    const client = await start({ stateFolder });
    await client.open(uri, long);
    client.connection.sendRequest(ReadTokens.method, { ...all, mode: implicit }).catch(() => undefined);
    await expect.poll(() => marked(stateFolder), { ...PATIENT, interval: 1 }).toBe(true);
    await client.kill("SIGTERM");
    expect(marked(stateFolder)).toBe(false);
    expect(client.process.exitCode).toBe(143);
    clients.pop();
  }
  const client = await start({ stateFolder });
  await client.open(uri, long);
  expect((await client.ask(ReadTokens, { ...all, mode: implicit })).passages).toHaveLength(1);
});

/** Whether a server has written that something is under way. */
function marked(stateFolder: string): boolean {
  const folder = join(stateFolder, "quarantine");
  return readdirSync(folder).some(
    (name) => name.startsWith("under-way-") && /"key":"[0-9a-f]/.test(readFileSync(join(folder, name), "utf8")),
  );
}

test("in Restricted Mode nothing of the workspace is loaded and nothing started", async () => {
  const client = await start({ trusted: false });
  const choice = await client.failure(ChooseRun, { runFolder: run });
  expect(choice).toEqual({ code: "usage", message: expect.stringContaining("trusted workspace") });
  const started = await client.failure(StartRun, { experiment: "quick", runsRoot: join(root, "runs"), name: null });
  expect(started).toMatchObject({ code: "usage", message: expect.stringContaining("Restricted Mode") });
  const own = await client.ask(ChooseRun, { runFolder: null });
  expect(["none", "chosen"]).toContain(own.kind);
  expect(JSON.stringify(own)).not.toContain(root);
});

test("folders outside the folders of runs are refused, and runs that are none say so", async () => {
  const client = await start();
  expect(await client.failure(ChooseRun, { runFolder: join(root, "base") })).toMatchObject({ code: "usage" });
  expect(await client.failure(ChooseRun, { runFolder: join(root, "runs", "..") })).toMatchObject({ code: "usage" });
  const state = await client.ask(ChooseRun, { runFolder: join(root, "runs", "none") });
  expect(state.kind).toBe("chosen");
  await client.open(uri, text);
  expect(await client.failure(ReadTokens, { ...all, mode: implicit })).toMatchObject({ code: "not-found" });
  const failed = await client.heard(LensStateChanged, ({ kind }) => kind === "failed");
  expect(failed).toMatchObject({ failure: { message: expect.stringContaining("experiment.json") } });
});

test("an ablation is measured only of features that there are", PATIENT, async () => {
  const client = await start();
  const features = [{ id: "L90/F1", factor: 0 }];
  const asked = client.ask(MeasureAblation, { runFolder: run, features, prompts: 16, seed: 1, job: "measure" });
  expect(await asked.catch(failureIn)).toMatchObject({ code: "not-found" });
});
