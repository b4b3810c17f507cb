/** Gives the readers of files mutated, cut, endless and special ones, and watches that each is read or refused with an error of ours, soon and in little memory. */
import { execFileSync } from "node:child_process";
import { cp, mkdir, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { LfpError } from "../../server/common/errors.ts";
import { starterFolder } from "../../server/common/package-root.ts";
import { Random } from "../../server/common/random.ts";
import { knownError } from "../../server/common/system-errors.ts";
import { message } from "../../server/common/untrusted-text.ts";
import { readJournal } from "../../server/grading/answer-journal.ts";
import { readAblationSet } from "../../server/lens/ablation-file.ts";
import { readConfig } from "../../server/models/config.ts";
import { openParameters } from "../../server/models/parameters.ts";
import { openCheckpointTensors } from "../../server/models/safetensors.ts";
import { loadTokenizer } from "../../server/models/tokenizer.ts";
import { readContrastFile } from "../../server/pipeline/data/contrast-file.ts";
import { readTexts } from "../../server/pipeline/data/texts.ts";
import { checkExperimentText } from "../../server/pipeline/experiment/file-issues.ts";
import { loadExperiment } from "../../server/pipeline/experiment/resolve.ts";
import { loadProbe } from "../../server/probe/format.ts";
import { FeatureQuery } from "../../server/protocol/features.ts";
import { readRecord } from "../../server/runs/run-folder.ts";
import { runStatus } from "../../server/runs/run-status.ts";
import { openDictionary } from "../../server/sae/foreign/dictionary.ts";
import { loadSae } from "../../server/sae/format.ts";
import { FeatureStore } from "../../server/store/store.ts";
import { writeSyntheticStore } from "../../server/store/synthetic.ts";
import { runRecord } from "../support/run-record.ts";
import { makeTinyRun } from "../support/tiny-run.ts";
import { mutate, pick } from "./junk.ts";

export interface FileFuzzReport {
  readonly seed: number;
  readonly seconds: number;
  readonly files: number;
  /** Files by `read` or the refusal's code. */
  readonly answers: Readonly<Record<string, number>>;
  readonly slowestMs: number;
  readonly peakMiB: number;
  readonly faults: readonly string[];
}

/** A kind of file: a sound one, and how it is read. */
interface Subject {
  readonly name: string;
  /** Holds the sound file and what belongs to it. */
  readonly folder: string;
  readonly read: (folder: string) => Promise<unknown>;
}

const HANG_MS = 30_000;
const MOST_MIB = 2048;

/** Goes on for so many seconds, and longer where by then fewer than `least` files were read. `root` is an empty folder. */
export async function fuzzFiles(root: string, seed: number, seconds: number, least = 0): Promise<FileFuzzReport> {
  const random = Random.fromSeed(seed);
  const all = await subjects(root);
  const answers: Record<string, number> = {};
  const faults: string[] = [];
  const startMs = performance.now();
  let [files, slowestMs, peakMiB] = [0, 0, 0];
  while (faults.length === 0 && (files < least || performance.now() - startMs < seconds * 1000)) {
    const subject = pick(random, all);
    const folder = join(root, "case");
    await rm(folder, { recursive: true, force: true });
    await cp(subject.folder, folder, { recursive: true });
    const how = await damage(random, join(folder, subject.name));
    const began = performance.now();
    const found = await answerOf(subject, folder);
    const tookMs = performance.now() - began;
    answers[found.answer] = (answers[found.answer] ?? 0) + 1;
    files += 1;
    slowestMs = Math.max(slowestMs, tookMs);
    peakMiB = Math.max(peakMiB, process.memoryUsage().rss / 2 ** 20);
    const fault =
      found.fault ?? (tookMs > HANG_MS ? `took ${tookMs} ms` : peakMiB > MOST_MIB ? `${peakMiB} MiB` : undefined);
    if (fault !== undefined) faults.push(`file ${files}, ${subject.name}, ${how}: ${fault}`);
  }
  const round = (value: number): number => Math.round(value);
  const took = round((performance.now() - startMs) / 1000);
  return { seed, seconds: took, files, answers, slowestMs: round(slowestMs), peakMiB: round(peakMiB), faults };
}

async function answerOf(
  { read }: Subject,
  folder: string,
): Promise<{ readonly answer: string; readonly fault?: string }> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("does not end")), HANG_MS);
  });
  try {
    await Promise.race([read(folder), late]);
    return { answer: "read" };
  } catch (error) {
    const known = knownError(error);
    if (!(known instanceof LfpError))
      return { answer: "defect", fault: error instanceof Error ? (error.stack ?? "") : String(error) };
    const said = message(known.message);
    const isPlain = said.length < 9000 && !/(?![\n\t\u200c\u200d])[\p{Cc}\p{Cf}]/u.test(said);
    return isPlain
      ? { answer: known.code }
      : { answer: known.code, fault: `says ${JSON.stringify(said.slice(0, 300))}` };
  } finally {
    clearTimeout(timer);
  }
}

async function subjects(root: string): Promise<readonly Subject[]> {
  const { folder: run } = await makeTinyRun(root);
  const made = join(root, "made");
  await mkdir(made);
  const texts = Array.from({ length: 20 }, (_, at) => ({ text: `row ${at}`, label: at }));
  await writeFile(join(made, "a.jsonl"), texts.map((row) => `${JSON.stringify(row)}\n`).join(""));
  await writeFile(
    join(made, "a.csv"),
    `text,label\n${texts.map(({ text, label }) => `"${text}",${label}\n`).join("")}`,
  );
  await cp("test/fixtures/data/groups.parquet", join(made, "a.parquet"));
  const set = { format: "lfp-ablation/1", features: [{ id: "L0/F2", factor: 0 }] };
  await writeFile(join(made, "a.lfp-ablation.json"), JSON.stringify(set));
  await writeFile(
    join(made, "e.json"),
    JSON.stringify({ preset: "quick", name: "x", sae: { epochs: 2 }, tuning: { steps: 3 } }),
  );
  const stage = { id: "tune", stage: "tune", codeVersion: 1, status: "done" } as const;
  await writeFile(join(made, "run.json"), JSON.stringify(runRecord({ stages: [stage] })));
  const span = { text: "Q: yes", start: 3, end: 6 };
  const contrast = { id: "a", source: "pairs.jsonl", group: "g", positive: span, negative: span, provenance: {} };
  await writeFile(join(made, "contrasts.jsonl"), `${JSON.stringify(contrast)}\n`);
  const journal = [
    { kind: "journal", version: 1 },
    { kind: "sent", request: 0, inputTokens: 10, outputTokens: 10 },
    { kind: "used", request: 0, inputTokens: 9, outputTokens: 1 },
    { kind: "answer", key: "k", answer: "{}", inputTokens: 9, outputTokens: 1, source: null },
    { kind: "unanswered", key: "l", cause: "refused" },
  ];
  await writeFile(join(made, "answers.jsonl"), journal.map((line) => `${JSON.stringify(line)}\n`).join(""));
  writeSyntheticStore(join(made, "features.sqlite"), { layers: 1, features: 30 });
  const tuned = join(run, "tuned");
  const starter = starterFolder();
  const small = join(root, "starter");
  await mkdir(small);
  for (const name of ["tokenizer.json", "tokenizer_config.json"]) await cp(join(starter, name), join(small, name));
  const adapters = await adapterFolder(join(root, "adapters"));
  return [
    ...["adapter_config.json", "adapter_model.safetensors"].map((name) => ({
      name,
      folder: adapters,
      read: async (at: string) => (await openParameters(at)).close(),
    })),
    { name: "config.json", folder: tuned, read: (at) => readConfig(at) },
    { name: "model.safetensors", folder: tuned, read: async (at) => (await openCheckpointTensors(at)).close() },
    { name: "tokenizer.json", folder: small, read: (at) => loadTokenizer(at) },
    { name: "tokenizer_config.json", folder: small, read: (at) => loadTokenizer(at) },
    { name: "probe.json", folder: join(run, "probe"), read: (at) => loadProbe(at) },
    { name: "cfg.json", folder: join(run, "sae", "tuned", "0", "24"), read: (at) => loadSae(at) },
    ...dictionaryFiles.map(([folder, name]) => ({
      name,
      folder: join("test/fixtures/sae/foreign", folder),
      read: (at: string) => openDictionary(at),
    })),
    { name: "e.json", folder: made, read: (at) => loadExperiment(join(at, "e.json")) },
    {
      name: "e.json",
      folder: made,
      read: async (at) => checkExperimentText(await readFile(join(at, "e.json"), "utf8").catch(() => "")),
    },
    { name: "a.lfp-ablation.json", folder: made, read: (at) => readAblationSet(join(at, "a.lfp-ablation.json")) },
    { name: "run.json", folder: made, read: (at) => readRecord(at) },
    { name: "run.json", folder: made, read: (at) => runStatus(at) },
    ...["a.jsonl", "a.csv", "a.parquet"].map((name) => ({
      name,
      folder: made,
      read: (at: string) => readTexts(join(at, name), { field: "text" }),
    })),
    { name: "contrasts.jsonl", folder: made, read: (at) => readContrastFile(join(at, "contrasts.jsonl")) },
    { name: "answers.jsonl", folder: made, read: (at) => readJournal(join(at, "answers.jsonl")) },
    { name: "features.sqlite", folder: made, read: readStore },
  ];
}

/** Files of dictionaries of every format of other programs, by their folder. */
const dictionaryFiles = [
  ["dl-BatchTopKSAE", "ae.pt"],
  ["dl-AutoEncoderTopK", "ae.pt"],
  ["dl-GatedAutoEncoder", "config.json"],
  ["gemma-scope-2b-pt-mlp/layer_1/width_9/average_l0_3", "params.npz"],
  ["gemma-scope-2b-pt-mlp/layer_1/width_9/average_l0_4", "params.npz"],
  ["mlp_out/layer_1_width_9_l0_medium", "config.json"],
  ["mlp_out/layer_1_width_9_l0_medium", "params.safetensors"],
  ["saelens-gated", "sae_weights.safetensors"],
  ["saelens-older", "cfg.json"],
  ["sparsify/layers.1.mlp", "cfg.json"],
  ["sparsify/layers.1.mlp", "sae.safetensors"],
] as const;

/** Adapters of a small model, which they name by its folder. */
async function adapterFolder(folder: string): Promise<string> {
  await cp("test/fixtures/adapters/plain", folder, { recursive: true });
  const path = join(folder, "adapter_config.json");
  const text = await readFile(path, "utf8");
  await writeFile(path, text.replace("../../models/gpt-neox", resolve("test/fixtures/models/gpt-neox")));
  return folder;
}

async function readStore(folder: string): Promise<void> {
  using store = FeatureStore.open(join(folder, "features.sqlite"));
  const { rows } = store.query(FeatureQuery.parse({}), { offset: 0, count: 50 });
  for (const { id } of rows) store.detail(id);
  store.describe();
  store.query(FeatureQuery.parse({ search: "film" }), { offset: 0, count: 50 });
}

/** Does something to a file, and says what. A file that one test reads twice as text is never made a pipe. */
async function damage(random: Random, path: string): Promise<string> {
  const isText = basename(path) === "e.json";
  const special = ["a pipe", "a device without an end", "a folder", "a loop of links", "4 GB of zeros"] as const;
  const how = pick(random, [
    "members",
    "members",
    "members",
    "bytes",
    "bytes",
    "cut",
    "deep",
    "long",
    "repeated",
    "special",
  ] as const);
  const sound = await readFile(path);
  const text = sound.toString("latin1");
  const value = how === "members" ? parsed(text) : undefined;
  if (how === "special" && !isText) return await replace(path, pick(random, special));
  if (value !== undefined) {
    let changed: unknown = value;
    for (let times = 1 + random.integer(4); times > 0; times -= 1) changed = mutate(random, changed);
    await writeFile(path, JSON.stringify(changed));
  } else if (how === "cut") await writeFile(path, sound.subarray(0, random.integer(sound.length + 1)));
  else if (how === "deep")
    await writeFile(
      path,
      text.replace(/[:[]/, (at) => `${at}${"[".repeat(1e5)}`),
    );
  else if (how === "long")
    await writeFile(path, text.replace(/"/, `"${pick(random, ["x", "\u001b[2J", "\\u202e"]).repeat(1e6)}`), "latin1");
  else if (how === "repeated")
    await writeFile(
      path,
      text.replace(/[,{]/, (at) => `${at}${'"seed": 1,'.repeat(20_000)}`),
      "latin1",
    );
  else await writeFile(path, flipped(random, sound));
  return how;
}

async function replace(path: string, by: string): Promise<string> {
  await rm(path);
  if (by === "a pipe") execFileSync("mkfifo", [path]);
  else if (by === "a folder") await mkdir(path);
  else if (by === "4 GB of zeros") await writeFile(path, "").then(() => truncate(path, 4e9));
  else await symlink(by === "a loop of links" ? path : "/dev/zero", path);
  return by;
}

function parsed(text: string): object | undefined {
  try {
    return Object(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function flipped(random: Random, sound: Buffer): Buffer {
  const copy = Buffer.from(sound);
  for (let times = 1 + random.integer(16); times > 0 && copy.length > 0; times -= 1)
    copy[random.integer(copy.length)] = random.integer(256);
  return copy;
}
