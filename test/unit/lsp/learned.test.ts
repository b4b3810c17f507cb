/** What a server says of a run by its log-ratios: problems, hovers, and where a run has no base model. */
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { ratedWords } from "../../../server/lsp/lens/rated-words.ts";
import { signed } from "../../../server/lsp/text/markdown.ts";
import { experimentDigest, saveCalibration } from "../../../server/pipeline/artifacts/calibration-file.ts";
import { loadExperiment } from "../../../server/pipeline/experiment/resolve.ts";
import { openLens } from "../../../server/pipeline/finished/open-lens.ts";
import { DescribeToken, ReadTokens } from "../../../server/protocol/lens.ts";
import { AblationChanged, ChooseRun, LensStateChanged } from "../../../server/protocol/lens-state.ts";
import { ProblemsWanted } from "../../../server/protocol/problems.ts";
import { runPaths } from "../../../server/runs/run-folder.ts";
import { calibration, power } from "../../support/lens-info.ts";
import { LspClient, published } from "../../support/lsp-client.ts";
import { makeTinyRun } from "../../support/tiny-run.ts";
import { scratchFolder } from "../runs/scratch.ts";

const uri = "untitled:a";
const text =
  "I saw a wonderful film, and a terrible one. It is great, and awful. Good and bad, happy and sad, fun and boring.";
const THRESHOLD = 0.5;
const CENTRE = 0.25;
const clients: LspClient[] = [];
let root: string;
let run: string;

const share = { right: 1, of: 2, share: 0.5, low: 0.1, high: 0.9 };
const none = { value: null, low: null, high: null };
const word = (name: string, rating: number, places: number, centred: number) => {
  const interval = { low: centred - 0.125, high: centred + 0.125 };
  return { word: name, rating, places, texts: places, mean: centred + CENTRE, centred, ...interval };
};
/** Tuning made "wonderful" less likely over many places; it says nothing of "terrible", which has few. */
const learned = {
  format: 1,
  settings: { minPlaces: 20, resamples: 100 },
  texts: 50,
  tokens: 1000,
  places: 35,
  kl: none,
  centre: CENTRE,
  statistics: { words: 1, tau: none, auroc: none, signs: { positive: share, negative: share } },
  words: [word("wonderful", 2.7, 30, -0.75), word("terrible", -2.1, 5, 9)],
};

beforeAll(async () => {
  root = await scratchFolder();
  run = (await makeTinyRun(root)).folder;
  await mkdir(join(run, "learned"));
  await writeFile(join(run, "learned", "learned.json"), JSON.stringify(learned));
});

afterEach(async () => {
  for (const client of clients.splice(0)) await client.stop();
});

async function start(folder = run, settings: object = {}): Promise<LspClient> {
  const client = await LspClient.start({
    options: {
      runsRoots: [join(root, "runs")],
      trusted: true,
      settings: { threads: 1, problems: { threshold: THRESHOLD }, ...settings },
    },
    env: { LFP_STATE_DIR: await scratchFolder() },
  });
  clients.push(client);
  await client.ask(ChooseRun, { runFolder: folder });
  await client.open(uri, text);
  return client;
}

async function hover(client: LspClient, at: string, into = 1): Promise<string> {
  return (await client.hover(uri, { line: 0, character: text.indexOf(at) + into })) ?? "";
}

test("problems are of the words whose log-ratio has the other sign than their rating, by the lexicon where it has the word", async () => {
  const client = await start();
  await client.tell(ProblemsWanted, { uri, wanted: true });
  const { diagnostics } = await client.heard(published);
  const lens = await openLens(run, { threads: 1 });
  const { words: rated } = await ratedWords(lens, { text }, "learned", {});
  await lens.close();
  expect(rated.map(({ start, end }) => text.slice(start, end))).toContain("terrible");
  const expected = rated.filter(({ start, rating, value }) => {
    const isInLexicon = text.slice(start).startsWith("wonderful");
    const score = -Math.sign(rating) * (isInLexicon ? -0.75 : value - CENTRE);
    return score >= THRESHOLD;
  });
  expect(diagnostics.map(({ range }) => range.start.character)).toEqual(expected.map(({ start }) => start));
  const here = rated.find(({ start }) => text.startsWith("wonderful", start))?.value ?? Number.NaN;
  expect(diagnostics[0]).toMatchObject({
    message:
      // What the colour shows is said too.
      "“wonderful” is rated good (+2.70), but tuning made it less likely than rated words on the mean: −0.75 nats over 30 places of the run's texts (learned reward here " +
      `${signed(here)} nats).`,
  });
  // The tiny run's weights are random: some words at their places are flagged, and some are not.
  expect(expected.length).toBeGreaterThan(1);
  expect(expected.length).toBeLessThan(rated.length);
  expect(diagnostics[1]?.message).toMatch(
    /^“\w+” is rated .* here than rated words on the mean: [+−]\d+\.\d\d nats \(learned reward here .*\)\.$/,
  );
});

test("a hover begins with value, meant value, verdict and trust, then has its parts and the other readings", async () => {
  const client = await start();
  await client.tell(ProblemsWanted, { uri, wanted: true });
  await client.heard(published);
  const shown = await hover(client, "wonderful");
  const [first = "", , verdict = "", , ...rest] = shown.split("\n");
  const detail = await client.ask(DescribeToken, {
    ...{ uri, version: 1, ablation: null, features: 5 },
    offset: text.indexOf("wonderful"),
  });
  const { sum = null, start: from, end } = detail?.learned?.word ?? {};
  expect(text.slice(from, end)).toBe("wonderful");
  const number = `${Math.abs(sum ?? Number.NaN).toFixed(2)} nats`;
  expect(first).toMatch(
    new RegExp(
      `^“wonderful” learned reward \\*\\*.?${number}\\*\\*, true reward \\*\\*\\+2\\.70\\*\\* \\(they disagree\\)$`,
    ),
  );
  expect(verdict).toBe(
    "Over its 30 places **−0.75** (−0.88 to −0.63) against the mean of rated words; flagged from 0.50 on (a setting: not calibrated). " +
      "This run has no calibration: how often such a reading is right was not measured (lfp calibrate measures it).",
  );
  const { value = Number.NaN, intercept = Number.NaN, contributions = [], rest: others } = detail?.fitted ?? {};
  const sumOfParts = contributions.reduce((total, { contribution }) => total + contribution, intercept);
  expect(sumOfParts + (others?.contribution ?? 0)).toBeCloseTo(value, 6);
  const head = /^By features \*\*(.*) nats\*\*, (\S+) of it by \d+ others and the constant: {2}$/m.exec(shown);
  expect(head?.[1]).toBe(signed(value));
  const listed = rest.flatMap((line) => /^([+−]?\d\.\d\d) \[L\d\/F\d+\]/.exec(line)?.[1] ?? []);
  expect(listed).toHaveLength(3);
  const numbers = [head?.[2] ?? "", ...listed].map((number) => Number(number.replace("−", "-")));
  expect(numbers.reduce((total, part) => total + part, 0)).toBeCloseTo(value, 1);
  const left = (sum ?? Number.NaN) - value;
  expect(shown).toMatch(/^After tuning .*, implicit reward [+−]\d\.\d\d.*, divergence \d\.\d\d nats.*\.$/m);
  expect(shown).toContain(`, ${signed(left)} nats not by features,`);
  // About 250 pixels: what VS Code shows of a hover.
  expect(shown.split("\n").filter((line) => line !== "").length).toBeLessThanOrEqual(10);
  expect(await hover(client, "film")).toMatch(/^“film” learned reward \*\*[+−]?\d+\.\d\d nats\*\*\n/);
});

/** A copy of the run with a calibration whose thresholds are these, that speaks for it or for another. */
async function calibrated(name: string, words: number, places: number, speaks = true): Promise<string> {
  const folder = join(root, "runs", name);
  await cp(run, folder, { recursive: true });
  const experiment = experimentDigest(await loadExperiment(runPaths(folder).experiment));
  const measured = power(0.9, 0.8, { threshold: words, found: { count: 38, of: 50 } });
  const made = calibration("logRatio", { logRatio: measured }, power(0.7, 0.6, { threshold: places }));
  await saveCalibration(folder, { ...made, experiment: speaks ? experiment : "another" });
  return folder;
}

test("with a calibration its thresholds count, of words and of places, and its figures are said", async () => {
  const low = await start(await calibrated("low", 0.5, 100));
  await low.tell(ProblemsWanted, { uri, wanted: true });
  const { diagnostics } = await low.heard(published);
  expect(diagnostics.map(({ range }) => range.start.character)).toEqual([text.indexOf("wonderful")]);
  const shown = await hover(low, "wonderful");
  expect(shown).toContain("flagged from 0.50 on. The log-ratio found");
  expect(shown).toContain(
    "The log-ratio found 38 of 50 planted words in models tuned like this, and flags 1 in 20 others by chance.",
  );
  const high = await start(await calibrated("high", 1, 0.001));
  await high.tell(ProblemsWanted, { uri, wanted: true });
  const places = (await high.heard(published)).diagnostics.map(({ range }) => range.start.character);
  expect(places).not.toContain(text.indexOf("wonderful"));
  expect(places.length).toBeGreaterThan(1);
  expect(await hover(high, "wonderful")).toContain("(they point apart, but not by as much as is flagged)");
});

test("a hover begins with what the colours show, by word or by token, in every mode, and says what it is", async () => {
  const client = await start();
  const modes = [
    ...(["learned", "fitted", "implicit", "tunedMinusBase", "true", "disagreement", "kl"] as const).map((kind) => ({
      kind,
    })),
    { kind: "feature", id: "L1/F3" } as const,
  ];
  const asked = { uri, version: 1, ranges: [{ start: 0, end: 1000 }], maxTokens: 1000, ablation: null };
  const places = { word: ["wonderful", "film", "terrible", "is"], token: ["wonderful", "terrible", "film"] } as const;
  for (const mode of modes)
    for (const unit of ["word", "token"] as const) {
      await client.tell(ProblemsWanted, { uri, wanted: true, shown: { mode, unit } });
      const { passages } = await client.ask(ReadTokens, { ...asked, mode, unit });
      const { starts = [], ends = [], values = [] } = passages[0]?.tokens ?? {};
      for (const place of places[unit]) {
        const offset = text.indexOf(place);
        const at = starts.findIndex((start, i) => start <= offset && offset < (ends[i] ?? 0));
        const value = values[at] ?? null;
        const [first = ""] = (await hover(client, place, 0)).split("\n");
        expect(first).toContain(`“${text.slice(starts[at], ends[at]).trim()}”`);
        const shown =
          value === null ? "" : `**${mode.kind === "feature" || mode.kind === "kl" ? value.toFixed(2) : signed(value)}`;
        if (value === null) expect(first.split(", true reward")[0]).not.toContain("**");
        else expect(first, mode.kind).toContain(shown);
      }
    }
});

test("a hover can be copied: its number, and what it says without links", async () => {
  const client = await start();
  await client.tell(ProblemsWanted, { uri, wanted: true });
  await client.heard(published);
  const shown = await hover(client, "wonderful");
  const argument = (label: string): unknown => {
    const [, encoded = ""] = new RegExp(`\\[${label}\\]\\(command:lfpLens\\.copyText\\?([^)]*)\\)`).exec(shown) ?? [];
    return JSON.parse(decodeURIComponent(encoded));
  };
  const detail = await client.ask(DescribeToken, {
    ...{ uri, version: 1, ablation: null, features: 5, unit: "word" },
    offset: text.indexOf("wonderful"),
  });
  const [{ text: value }] = z.tuple([z.object({ text: z.string() })]).parse(argument("Copy value"));
  expect(Number(value)).toBeCloseTo(detail?.learned?.logRatio ?? Number.NaN, 4);
  const [{ text: markdown }] = z.tuple([z.object({ text: z.string() })]).parse(argument("Copy as Markdown"));
  expect(markdown.split("\n")[0]).toBe(shown.split("\n")[0]);
  expect(markdown).toMatch(/^[+−]?\d\.\d\d L\d\/F\d+ /m);
  expect(markdown).not.toMatch(/command:|ablate/);
});

test("a calibration of another experiment says nothing of a run", async () => {
  const client = await start(await calibrated("other", 0.001, 0.001, false));
  await client.tell(ProblemsWanted, { uri, wanted: true });
  await client.heard(published);
  expect(await hover(client, "wonderful")).toContain("This run has no calibration");
  const state = await client.heard(LensStateChanged, ({ kind }) => kind === "ready");
  expect(state).toMatchObject({ info: { calibration: null } });
});

test("under an ablation words are judged at their place, and the overlay's numbers are the ablated model's", async () => {
  const client = await start();
  const mode = { kind: "learned" as const };
  const asked = { uri, version: 1, ranges: [{ start: 0, end: 1000 }], maxTokens: 1000, mode };
  const ablation = { format: "lfp-ablation/1" as const, features: [{ id: "L0/F3", factor: 40 }] };
  const valuesOf = async (set: typeof ablation | null) =>
    (await client.ask(ReadTokens, { ...asked, ablation: set })).passages.flatMap(({ tokens }) => tokens.values);
  expect(await valuesOf(ablation)).not.toEqual(await valuesOf(null));
  await client.tell(AblationChanged, AblationChanged.params.parse({ ablation }));
  await client.tell(ProblemsWanted, { uri, wanted: true });
  await client.heard(published);
  const shown = await hover(client, "wonderful");
  expect(shown).toMatch(/^Flagged from 0\.50 on/m);
  expect(shown).toContain("With 1 feature scaled.");
});

test("the fitted log-ratio is a reading of its own: colours, problems, hovers, and the feature that pulls most", async () => {
  const client = await start(run, { reading: "fitted", problems: { threshold: 0 }, fadeUnfamiliar: false });
  const mode = { kind: "fitted" as const };
  const { passages } = await client.ask(ReadTokens, {
    ...{ uri, version: 1, ranges: [{ start: 0, end: 1000 }], maxTokens: 1000, ablation: null, mode },
  });
  const offset = text.indexOf("great");
  const detail = await client.ask(DescribeToken, { uri, version: 1, ablation: null, features: 20, offset });
  expect(detail?.learned?.word?.text).toBe(detail?.text.trim());
  const at = passages[0]?.tokens.starts.indexOf(detail?.start ?? -1) ?? -1;
  expect(passages[0]?.tokens.values[at]).toBeCloseTo(detail?.fitted?.value ?? Number.NaN, 6);
  await client.tell(ProblemsWanted, { uri, wanted: true });
  const { diagnostics } = await client.heard(published);
  expect(diagnostics.length).toBeGreaterThan(0);
  for (const { message } of diagnostics)
    expect(message).toMatch(/^“\w+” is rated .* its features are such as tuning made (likelier|less likely) \(/);
  expect(await hover(client, "great")).toMatch(/^“great” learned reward by features \*\*[+−]?\d+\.\d\d nats\*\*/);
  const [problem] = diagnostics;
  const actions = await client.connection.sendRequest("textDocument/codeAction", {
    textDocument: { uri },
    range: problem?.range,
    context: { diagnostics: [problem] },
  });
  expect(JSON.stringify(actions)).toMatch(/Ablate L\d+\/F\d+, the feature that pulls most/);
});

test("problems go by the reading that somebody chose", async () => {
  const client = await start(run, { reading: "tunedMinusBase", problems: { threshold: 0 }, fadeUnfamiliar: false });
  await client.tell(ProblemsWanted, { uri, wanted: true });
  const { diagnostics } = await client.heard(published);
  expect(diagnostics.length).toBeGreaterThan(0);
  for (const { message } of diagnostics)
    expect(message).toMatch(/^Tuning made the probe read “\w+” as (better|worse) \(by [+−]\d+\.\d\d\); the feedback/);
  expect(await hover(client, "great")).toMatch(/^“great” tuned minus base \*\*[+−]\d+\.\d\d\*\*, true reward/);
});

test("a run whose base model is not on this machine is read by its probe, and says that nothing else is to be had", async () => {
  const bare = join(root, "runs", "bare");
  await cp(run, bare, { recursive: true });
  await writeFile(
    join(bare, "experiment.json"),
    JSON.stringify({ preset: "quick", name: "bare", model: join(root, "gone") }),
  );
  const client = await start(bare);
  const asked = { uri, version: 1, ranges: [{ start: 0, end: 1000 }], maxTokens: 1000, ablation: null };
  expect(await client.failure(ReadTokens, { ...asked, mode: { kind: "learned" } })).toMatchObject({
    message: expect.stringMatching(/no base model on this machine/),
  });
  expect((await client.ask(ReadTokens, { ...asked, mode: { kind: "implicit" } })).passages).toHaveLength(1);
  await client.tell(ProblemsWanted, { uri, wanted: true });
  await client.heard(published);
  expect(await hover(client, "great")).toMatch(/^“great” implicit reward \*\*/);
});

test("a base model that cannot be loaded takes away its own part of a hover and no other", async () => {
  const folder = join(root, "runs", "half");
  await cp(run, folder, { recursive: true });
  const base = join(root, "half-base");
  await cp(join(root, "base"), base, { recursive: true });
  await writeFile(join(base, "model.safetensors"), "no weights");
  await writeFile(join(folder, "experiment.json"), JSON.stringify({ preset: "quick", name: "half", model: base }));
  const client = await start(folder, { reading: "implicit" });
  await client.tell(ProblemsWanted, { uri, wanted: true, shown: { mode: { kind: "implicit" }, unit: "word" } });
  await client.heard(published);
  const shown = await hover(client, "great");
  expect(shown).toMatch(/^“great” implicit reward \*\*[+−]\d+\.\d\d\*\*/);
  expect(shown).toMatch(/What needs the base model is missing: .*safetensors/);
  await client.tell(ProblemsWanted, { uri, wanted: true, shown: { mode: { kind: "learned" }, unit: "word" } });
  expect(await hover(client, "great")).toMatch(/^“great” learned reward not known here/);
});

test("problems of a run go as soon as another is chosen, though that cannot be opened", async () => {
  const folder = join(root, "runs", "unopenable");
  await cp(run, folder, { recursive: true });
  await writeFile(join(folder, "tuned", "model.safetensors"), "no weights");
  const client = await start();
  await client.tell(ProblemsWanted, { uri, wanted: true });
  expect((await client.heard(published)).diagnostics.length).toBeGreaterThan(0);
  await client.ask(ChooseRun, { runFolder: folder });
  await client.heard(published, ({ diagnostics }) => diagnostics.length === 0);
  await client.heard(LensStateChanged, ({ kind }) => kind === "failed");
});

test("a learned lexicon that is none keeps the run from being opened, and says which file", async () => {
  const broken = join(root, "runs", "broken");
  await cp(run, broken, { recursive: true });
  await writeFile(join(broken, "learned", "learned.json"), '{ "format": 1 }');
  const client = await start(broken);
  const asked = { uri, version: 1, ranges: [{ start: 0, end: 9 }], maxTokens: 9, ablation: null };
  const failure = await client.failure(ReadTokens, { ...asked, mode: { kind: "learned" } });
  expect(failure).toMatchObject({ code: "input", message: expect.stringContaining(join("learned", "learned.json")) });
  await client.heard(LensStateChanged, ({ kind }) => kind === "failed");
});
