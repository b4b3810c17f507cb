/** Two checkpoints beside one another: what is refused, and what a run and `lfp score` make of the pair. */
import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { createCpuDevice } from "../../../server/engine/cpu/device.ts";
import type { Device } from "../../../server/engine/device.ts";
import * as ops from "../../../server/engine/ops.ts";
import type { PairReading } from "../../../server/lens/pair-reading.ts";
import { valuesOf } from "../../../server/lens/values.ts";
import { loadModel } from "../../../server/models/checkpoint.ts";
import { forward, logitsOf, plainPositions } from "../../../server/models/model.ts";
import { openPair, PairMismatchError } from "../../../server/models/pair.ts";
import { openSafetensors, writeSafetensors } from "../../../server/models/safetensors.ts";
import { loadTokenizer } from "../../../server/models/tokenizer.ts";
import { openLens } from "../../../server/pipeline/finished/open-lens.ts";
import { openPairLens } from "../../../server/pipeline/finished/open-pair.ts";
import { AblationSet } from "../../../server/protocol/ablation.ts";
import { loadSae } from "../../../server/sae/format.ts";
import { encodeNode } from "../../../server/sae/graph.ts";
import { placeSae } from "../../../server/sae/inference.ts";
import { modelFolder } from "../../conformance/fixtures.ts";
import { jsonOf, runLfp } from "../../support/run-lfp.ts";
import { makeTinyRun } from "../../support/tiny-run.ts";
import { scratchFolder } from "../runs/scratch.ts";

const text = "A good film, and the plot is 😀 unbelievably wonderful.";
const pairs = join(import.meta.dirname, "../../fixtures/pairs");

let run: string;
let tuned: string;
let base: string;
let device: Device;
beforeAll(async () => {
  ({ folder: run } = await makeTinyRun(await scratchFolder()));
  [tuned, base] = [join(run, "tuned"), join(run, "..", "..", "base")];
  device = await createCpuDevice({ threads: 1 });
}, 60_000);
afterAll(() => device.close());

/** A copy of a checkpoint in which something is otherwise. */
async function changed(from: string, change: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(await scratchFolder(), "model");
  await cp(from, folder, { recursive: true });
  await change(folder);
  return folder;
}

type TokenizerJson = { model: { vocab: Record<string, number>; merges: unknown[] }; added_tokens: unknown[] };

function withTokenizer(from: string, change: (json: TokenizerJson) => void): Promise<string> {
  return changed(from, async (folder) => {
    const path = join(folder, "tokenizer.json");
    const json: TokenizerJson = JSON.parse(await readFile(path, "utf8"));
    change(json);
    await writeFile(path, JSON.stringify(json));
  });
}

function swap(vocab: Record<string, number>, one: string, other: string): void {
  [vocab[one], vocab[other]] = [vocab[other] ?? -1, vocab[one] ?? -1];
}

describe("two checkpoints that do not belong together are refused", { timeout: 60_000 }, () => {
  it.each<[what: string, other: () => Promise<string>, message: RegExp]>([
    ["the same folder", async () => tuned, /hold the same weights, so nothing tells them apart/],
    ["a copy", () => changed(tuned, async () => undefined), /hold the same weights/],
    [
      "a copy whose vocabulary was made longer",
      () =>
        changed(tuned, async (folder) => {
          await lengthened(folder, 4100);
        }),
      /hold the same weights/,
    ],
    ["another architecture", async () => modelFolder("gemma"), /is a gpt_neox model and .*gemma a gemma model/],
    [
      "another shape",
      async () => modelFolder("gpt-neox"),
      /has layers 2, width 16, heads 2, kvHeads 2, but .* has layers 3, width 32, heads 4, kvHeads 4/,
    ],
    [
      "two tokens that changed places",
      () => withTokenizer(base, ({ model }) => swap(model.vocab, "e", "t")),
      /tokenizers of .* are not the same: they have two tokens for one id: \d+ is "[et]" in one and "[et]" in the other/,
    ],
    [
      "another order of merges",
      () => withTokenizer(base, ({ model: { merges } }) => merges.push(...merges.splice(10, 1))),
      /they merge differently from merge 11 on/,
    ],
  ])("%s", async (_, other, message) => {
    const opening = openPair(device, { tuned, base: await other() });
    await expect(opening).rejects.toThrow(message);
    await expect(opening).rejects.toBeInstanceOf(PairMismatchError);
  });

  it.each<[what: string, make: () => Promise<string>, message: RegExp]>([
    ["a folder that is not there", async () => "/tmp/there-is-no-such-model", /does not exist/],
    [
      "a folder that is no checkpoint",
      scratchFolder,
      /config\.json cannot be read .*: a model folder holds config\.json, model\.safetensors and tokenizer\.json/,
    ],
    [
      "a checkpoint without weights",
      () => changed(base, (folder) => rm(join(folder, "model.safetensors"))),
      /holds no/,
    ],
    ["a hub id that was not downloaded", async () => "nobody/nothing", /nothing is downloaded unasked/],
  ])("%s", async (_, make, message) => {
    const missing = await make();
    await expect(openPair(device, { tuned, base: missing })).rejects.toThrow(message);
    await expect(openPair(device, { tuned: missing, base })).rejects.toThrow(message);
  });

  it("the device is closed again, and no tokenizer anywhere is said too", async () => {
    let closed = 0;
    const open = async (): Promise<Device> => {
      const own = await createCpuDevice({ threads: 1 });
      return {
        kind: own.kind,
        description: own.description,
        compile: (spec) => own.compile(spec),
        createState: (entries) => own.createState(entries),
        close: () => {
          closed += 1;
          return own.close();
        },
      };
    };
    const [one, other] = [await without(tuned), await without(base)];
    await expect(openPairLens({ tuned: one, base: other }, { open })).rejects.toThrow(/there is no .*tokenizer\.json/);
    expect(closed).toBe(1);
  });
});

/** Without a tokenizer. */
function without(folder: string): Promise<string> {
  return changed(folder, (copy) => rm(join(copy, "tokenizer.json")));
}

async function lengthened(folder: string, rows: number): Promise<void> {
  const path = join(folder, "model.safetensors");
  const source = await openSafetensors(path);
  const tensors = [];
  for (const [name, { shape }] of source.tensors) {
    const [length = 0, ...rest] = shape;
    const data = await source.readFloat32(name);
    const longer = length === 4096 ? new Float32Array((data.length / length) * rows).fill(0.5) : data;
    longer.set(data);
    tensors.push({ name, dtype: "F32" as const, shape: length === 4096 ? [rows, ...rest] : shape, data: longer });
  }
  await source.close();
  await writeSafetensors(path, tensors);
  const config = join(folder, "config.json");
  await writeFile(config, (await readFile(config, "utf8")).replace('"vocab_size": 4096', `"vocab_size": ${rows}`));
}

describe("tokenizers that read texts alike", { timeout: 60_000 }, () => {
  it.each([
    ["the tuned one's alone", tunedAlone],
    ["the base one's alone", async () => ({ tuned: await without(tuned), base })],
  ])("%s is enough", async (_, make) => {
    const lens = await openPairLens(await make(), { threads: 1 });
    expect((await lens.readPair(text)).starts.length).toBeGreaterThan(10);
    await lens.close();
  });

  it("a longer one gives the tokens that only it has no number, and all others theirs", async () => {
    const tunedPair = join(pairs, "gpt-neox");
    const basePair = await changed(modelFolder("gpt-neox"), async (folder) => {
      const json: TokenizerJson = JSON.parse(await readFile(join(tunedPair, "tokenizer.json"), "utf8"));
      json.added_tokens = json.added_tokens.filter((token) => !JSON.stringify(token).includes("zzz"));
      await writeFile(join(folder, "tokenizer.json"), JSON.stringify(json));
    });
    const { sharedTokens } = await openPair(device, { tuned: tunedPair, base: basePair });
    expect(sharedTokens).toBe(97);
    const lens = await openPairLens({ tuned: tunedPair, base: basePair }, { threads: 1 });
    const { learned, kl } = await lens.readPair("a zzz good");
    expect(learned.map((value) => value === null)).toEqual([true, false, true, false]);
    expect(kl.map((value) => value === null)).toEqual([false, false, true, false]);
    await lens.close();
  });
});

async function tunedAlone() {
  return { tuned, base: await without(base) };
}

describe("a run's pair", { timeout: 60_000 }, () => {
  it("reads the same through the run and without it", async () => {
    const [lens, pair] = [await openLens(run, { threads: 1 }), await openPairLens({ tuned, base }, { bos: true })];
    const reading = await lens.readPair(text);
    expect(await pair.readPair(text)).toEqual(reading);
    expect(reading.learned.every((value) => value !== null)).toBe(true);
    expect(pair.info).toMatchObject({ kind: "pair", tuned, base, bos: true, modelType: "gpt_neox" });
    expect((await valuesOf(lens, text, { kind: "learned" })).values).toEqual(reading.learned);
    expect((await valuesOf(lens, text, { kind: "kl" })).values).toEqual(reading.kl);
    expect(Math.min(...reading.kl.map((value) => value ?? -1))).toBeGreaterThan(0);
    await Promise.all([lens.close(), pair.close()]);
    await expect(pair.readPair("another")).rejects.toThrow("closed");
  });

  it("without a begin-of-text token the first token has no number, and the others other ones", async () => {
    const [bare, begun] = [await openPairLens({ tuned, base }), await openPairLens({ tuned, base }, { bos: true })];
    const [one, other] = [await bare.readPair(text), await begun.readPair(text)];
    expect(one.learned[0]).toBeNull();
    expect(one.learned.slice(1).every((value) => value !== null)).toBe(true);
    expect(one.learned[1]).not.toBeCloseTo(other.learned[1] ?? Number.NaN, 4);
    await Promise.all([bare.close(), begun.close()]);
  });

  it("under an ablation compares the ablated model with the base model, as a plain graph of it does", async () => {
    const lens = await openLens(run, { threads: 1 });
    const set = (factor: number) =>
      AblationSet.parse({ format: "lfp-ablation/1", features: [{ id: "L0/F2", factor }] });
    const plain = await lens.readPair(text);
    expect(await lens.readPair(text, { ablation: set(1) })).toEqual(plain);
    const ablated = await lens.readPair(text, { ablation: set(-3) });
    await lens.close();
    const expected = await shiftOf(-3);
    const shift = shiftsBetween(ablated, plain);
    expect(Math.max(...expected.map(Math.abs))).toBeGreaterThan(1e-3);
    for (const [token, value] of expected.entries()) expect(shift[token]).toBeCloseTo(value, 4);
  });

  it("stops at once when it is asked to", async () => {
    const pair = await openPairLens({ tuned, base });
    const stop = new AbortController();
    const reading = pair.readPair("a long text, ".repeat(200), { signal: stop.signal });
    stop.abort(new Error("enough"));
    await expect(reading).rejects.toThrow("enough");
    await pair.close();
  });
});

function shiftsBetween(ablated: PairReading, plain: PairReading): number[] {
  return ablated.learned.map((value, token) => (value ?? Number.NaN) - (plain.learned[token] ?? Number.NaN));
}

/** What multiplying feature 2 of layer 0's small dictionary by a factor does to each token's log-probability, summed over the pieces of characters. */
async function shiftOf(factor: number): Promise<number[]> {
  const model = await loadModel(device, tuned);
  const tokenizer = await loadTokenizer(tuned);
  const { ids, ranges } = tokenizer.encode(text, { addSpecialTokens: false });
  const T = ids.length + 1;
  const { sae } = await loadSae(join(run, "sae", "tuned", "0", "24"));
  const { store, nodes } = await placeSae(device, "ablated", sae);
  const edit = Float32Array.from({ length: sae.F }, (_, feature) => (feature === 2 ? factor - 1 : 0));
  const logProbs = (isEdited: boolean) => {
    const { hidden } = forward(model, {
      shape: [1, T],
      editActivations: ({ layer, site }, output) => {
        if (layer !== 0 || site !== "mlp-output" || !isEdited) return output;
        const flat = ops.reshape(output, [T, -1]);
        const change = ops.mul(encodeNode(flat, nodes), ops.constant([1, sae.F], edit));
        return ops.reshape(ops.add(flat, ops.matmul(change, nodes.decoder)), output.shape);
      },
    });
    return ops.logSoftmax(logitsOf(model, ops.reshape(hidden, [T, -1])));
  };
  const program = await device.compile({
    stores: [model.store, store],
    outputs: { plain: logProbs(false), edited: logProbs(true) },
  });
  const given = Int32Array.from([0, ...ids]);
  const { plain = [], edited = [] } = await program.run({ ids: given, positions: plainPositions([1, T]) });
  await program.dispose();
  const V = model.config.vocabSize;
  const shifts = new Map<number, number>();
  for (const [at, id] of ids.entries()) {
    const start = ranges[at]?.start ?? 0;
    const shift = (edited[at * V + id] ?? 0) - (plain[at * V + id] ?? 0);
    shifts.set(start, (shifts.get(start) ?? 0) + shift);
  }
  return [...shifts.values()];
}

const token = z.strictObject({
  start: z.int(),
  end: z.int(),
  text: z.string(),
  learned: z.number().nullable(),
  kl: z.number().nullable(),
  word: z.number().nullable(),
});
const result = z.strictObject({
  name: z.literal("score"),
  tuned: z.string(),
  base: z.string(),
  mode: z.enum(["learned", "kl"]),
  unit: z.literal("nats"),
  bos: z.boolean(),
  device: z.string(),
  limit: z.number().positive(),
  summary: z.strictObject({
    tokens: z.int(),
    words: z.int(),
    mean: z.number().nullable(),
    kl: z.number().nullable(),
    refused: z.int(),
  }),
  out: z.null(),
  passages: z.array(
    z.strictObject({
      start: z.int(),
      end: z.int(),
      tokens: z.array(token),
      words: z.array(token.omit({ word: true })),
      refused: z.string().optional(),
    }),
  ),
});

describe("lfp score through two models", { timeout: 60_000 }, () => {
  const lfp = (...args: string[]) => runLfp(["score", "--tuned", tuned, "--base", base, ...args]);

  it("gives every token and word its number, at its place in the file", async () => {
    const path = join(await scratchFolder(), "records.jsonl");
    const source = '{"id":1}\n{"text":"A \\u0067ood\\nfilm, \\"unbelievably\\" terrible."}\n';
    await writeFile(path, source);
    const ran = await lfp(path, "--bos", "--json");
    expect(ran.code, ran.stderr).toBe(0);
    const { passages, summary, bos } = result.parse(jsonOf(ran));
    const lens = await openPairLens({ tuned, base }, { threads: 1, bos: true });
    const reading = await lens.readPair('A good\nfilm, "unbelievably" terrible.');
    await lens.close();
    const [{ tokens = [], words = [] } = {}] = passages;
    expect(bos).toBe(true);
    for (const one of [...tokens, ...words]) expect(JSON.parse(`"${source.slice(one.start, one.end)}"`)).toBe(one.text);
    for (const [at, { learned, kl }] of tokens.entries()) {
      expect(learned).toBeCloseTo(reading.learned[at] ?? Number.NaN, 4);
      expect(kl).toBeCloseTo(reading.kl[at] ?? Number.NaN, 4);
    }
    expect(words.map((word) => word.text)).toEqual(["A", "good", "film", "unbelievably", "terrible"]);
    const long = tokens.filter(({ start, end }) => start < (words[3]?.end ?? 0) && end > (words[3]?.start ?? 0));
    expect(long.length).toBeGreaterThan(1);
    expect(words[3]?.learned).toBeCloseTo(
      long.reduce((sum, { learned }) => sum + (learned ?? Number.NaN), 0),
      9,
    );
    for (const { word } of long) expect(word).toBe(words[3]?.learned);
    expect(summary).toMatchObject({ tokens: tokens.length, words: 5, refused: 0 });
    expect(summary.mean).toBeCloseTo(tokens.reduce((sum, { learned }) => sum + (learned ?? 0), 0) / tokens.length, 9);
  });

  it("shows a table, or the text coloured, with unit and sign said", async () => {
    const table = await lfp("--text", text);
    expect(table.stdout).toMatch(/^ {2}offset {2}token +learned +kl +word\n {7}0 {2}"A" +\d+\.\d{3}\n/);
    expect(table.stdout).toContain("in nats, above zero where tuning made it likelier");
    expect(table.stdout).toContain("the first token of a passage has no learned reward");
    const coloured = await lfp("--text", text, "--color", "always", "--bos");
    expect(coloured.stdout).toMatch(
      /^learned, in nats \(blue: tuning made the token likelier; orange: less likely\): /,
    );
    expect(coloured.stdout).toContain("\u001b[30;48;5;");
    expect(coloured.stdout).not.toContain("has no learned reward");
  });

  it("writes every token to a file", async () => {
    const path = join(await scratchFolder(), "tokens.csv");
    const ran = await lfp("--text", text, "--out", path, "--json");
    expect(jsonOf(ran)).not.toHaveProperty("passages");
    const rows = z.array(z.record(z.string(), z.string())).parse(parse(await readFile(path), { columns: true }));
    expect(Object.keys(rows[0] ?? {})).toEqual(["passage", "start", "end", "text", "learned", "kl", "word"]);
    expect(rows.map((row) => row["text"]).join("")).toBe(text);
    expect(rows[0]?.["learned"]).toBe("");
    expect(Number(rows[1]?.["learned"])).not.toBe(0);
  });

  it("says of an empty text that there is nothing to read", async () => {
    const ran = await lfp("--text", "");
    expect(ran.code).toBe(0);
    expect(ran.stdout).toBe("0 tokens: there is no text to read\n");
    const { summary } = result.parse(jsonOf(await lfp("--text", "", "--json")));
    expect(summary).toEqual({ tokens: 0, words: 0, mean: null, kl: null, refused: 0 });
  });

  it("leaves out a passage that cannot be read, and reads the rest", async () => {
    const ran = await lfp("--text", `good film\n\n${"\u0301".repeat(2000)}\n\nbad film`, "--json");
    const { passages, summary } = result.parse(jsonOf(ran));
    expect(summary.refused).toBe(1);
    expect(passages.map(({ tokens }) => tokens.length > 0)).toEqual([true, false, true]);
    expect(ran.stderr).toContain("was left out");
  });

  it.each<[args: string[], message: RegExp]>([
    [["--text", "x", "--run", "r"], /--run RUN does not go with --tuned and --base/],
    [["--text", "x", "--mode", "implicit"], /--mode implicit needs a run/],
    [["--text", "x", "--export", "lens.onnx"], /--export needs a run/],
    [["--text", "x", "--ablation", "a.lfp-ablation.json"], /--ablation needs a run/],
    [["--text", "x", "--bos", "--no-bos"], /both given/],
    [["--text", "x", "--out", "tokens.txt"], /ends in \.jsonl or \.csv/],
    [[], /FILE \(or --text TEXT\) is missing/],
  ])("%j is refused", async (args, message) => {
    const ran = await lfp(...args);
    expect(ran.stderr).toMatch(message);
    expect(ran.code).toBe(2);
  });

  it("refuses one model alone, options of two models without them, and pairs that tell nothing", async () => {
    const ran = (...args: string[]) => runLfp(["score", "--text", "x", ...args]);
    expect((await ran("--tuned", tuned)).stderr).toMatch(/--base MODEL is missing/);
    expect((await ran("--base", base)).stderr).toMatch(/--tuned MODEL is missing/);
    expect((await ran("--run", run, "--bos")).stderr).toMatch(/--bos goes with --tuned and --base/);
    const same = await ran("--tuned", base, "--base", base);
    expect(same.stderr).toMatch(/hold the same weights/);
    expect(same.code).toBe(3);
  });

  it("through a run gives the same numbers, and says their unit", async () => {
    const ran = await runLfp(["score", "--run", run, "--text", text, "--mode", "learned"]);
    expect(ran.stdout).toMatch(/ tokens, mean -?\d+\.\d{3} nats, /);
    expect(ran.stdout).toContain("above zero where tuning made it likelier");
    const json = z.object({ passages: z.array(z.object({ tokens: z.array(z.object({ value: z.number() })) })) });
    const byRun = json.parse(
      jsonOf(await runLfp(["score", "--run", run, "--text", text, "--mode", "learned", "--json"])),
    );
    const byPair = result.parse(jsonOf(await lfp("--text", text, "--bos", "--json")));
    const values = byRun.passages.flatMap(({ tokens }) => tokens.map(({ value }) => value));
    expect(values).toEqual(byPair.passages.flatMap(({ tokens }) => tokens.map(({ learned }) => learned)));
  });
});
