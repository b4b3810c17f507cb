/** `lfp score --pairs`: the margins of a preference file, through a run or two models. */
import { resolve } from "node:path";
import { writeFileAtomically } from "../common/atomic-file.ts";
import { starterRunFolder } from "../common/package-root.ts";
import { visibleLine } from "../common/untrusted-text.ts";
import { readAblationSet } from "../lens/ablation-file.ts";
import type { ReadOptions } from "../lens/options.ts";
import type { PairReader } from "../lens/pair-lens.ts";
import { marginOf } from "../lens/preference-reading.ts";
import { ChatTemplateRefusal, ChatTemplateRenderError } from "../models/chat-template.ts";
import { UnreadableTextError } from "../models/tokenizer.ts";
import { faultsInWords, type PreferenceRecord, readPreferences } from "../pipeline/data/preferences.ts";
import { openLens } from "../pipeline/finished/open-lens.ts";
import { openPairLens } from "../pipeline/finished/open-pair.ts";
import { betaOf } from "../protocol/beta.ts";
import { csvCell } from "../protocol/csv.ts";
import type { LensInfo } from "../protocol/lens-state.ts";
import { whyNotOffered } from "../protocol/power.ts";
import { clusteredShare } from "../statistics/clustered-share.ts";
import { mean } from "../statistics/moments.ts";
import { pairTextsOf } from "../tasks/pairs/pair-texts.ts";
import type { CommandResult } from "./command.ts";
import { progressNotes } from "./download.ts";
import { UsageError } from "./errors.ts";
import { formatOf } from "./score-file.ts";
import type { ScoreGiven } from "./score-options.ts";
import { existingRun } from "./status.ts";

/** A pair of the file with what was read of it. */
interface ScoredPair {
  /** Its row in the file, from 0. */
  readonly row: number;
  /** Pairs of one prompt are not independent. */
  readonly prompt: string;
  /** In nats; null where the pair could not be read. */
  readonly margin: number | null;
  /** Sums of log-ratios over the answers' tokens, and numbers of those. */
  readonly chosen: number | null;
  readonly rejected: number | null;
  readonly chosenTokens: number | null;
  readonly rejectedTokens: number | null;
  /** Whether the end of an answer was cut off. */
  readonly isCut: boolean | null;
  /** Why the pair could not be read. */
  readonly unread: string | null;
}

const columns = [
  "row",
  "margin",
  "chosen",
  "rejected",
  "chosenTokens",
  "rejectedTokens",
  "isCut",
  "unread",
] as const satisfies readonly (keyof ScoredPair)[];

interface OpenedReader {
  readonly reader: PairReader;
  readonly info: LensInfo;
  readonly options: ReadOptions;
  readonly close: () => Promise<void>;
}

/** Reads every pair of the file. Throws `UsageError`, and what reading the file and opening the models throw. */
export async function scorePreferences(given: ScoreGiven): Promise<CommandResult> {
  const { options: chosen, positionals, signal, note } = given;
  const [file] = positionals;
  if (file === undefined) throw new UsageError("FILE is missing: --pairs reads a preference file");
  if (chosen.out !== undefined) formatOf(chosen.out);
  const ownBeta = chosen.beta === undefined ? undefined : betaFrom(chosen.beta);
  const { rows, pairs, faults } = await readPreferences(file, { signal });
  const opened = await openReader(given);
  try {
    const { info } = opened;
    const reason = whyNotOffered("learned", info);
    if (reason !== undefined) throw new UsageError(`margins cannot be read through this run: ${reason}`);
    const known = betaOf(info);
    const beta = ownBeta ?? known.beta;
    const betaFrom = ownBeta !== undefined ? "given" : known.isKnown ? "run" : "unknown";
    const scored = await scoreAll(opened, pairs, beta, note);
    if (chosen.out !== undefined)
      await writeFileAtomically(resolve(chosen.out), new TextEncoder().encode(linesOf(scored, chosen.out)));
    const summary = summaryOf(scored, rows, faults);
    return resultOf(given, { info, beta, betaFrom, scored, summary, faults: faultsInWords(faults) });
  } finally {
    await opened.close();
  }
}

function betaFrom(given: string): number {
  const beta = Number(given);
  if (given.trim() !== "" && Number.isFinite(beta) && beta > 0) return beta;
  throw new UsageError(`--beta is ${JSON.stringify(given.slice(0, 100))}; expected a number above 0`);
}

async function openReader(given: ScoreGiven): Promise<OpenedReader> {
  const { options: chosen, env, signal, note } = given;
  const { tuned, base, device, threads, download } = chosen;
  if (tuned !== undefined && base !== undefined) {
    const bos = chosen.bos ? true : chosen["no-bos"] ? false : undefined;
    const pull = { download, env, signal, onProgress: progressNotes(note) };
    const lens = await openPairLens(
      { tuned, base },
      { device, threads, env, signal, note, copiesWeights: true, resolve: pull, bos },
    );
    return { reader: lens, info: lens.info, options: { signal }, close: () => lens.close() };
  }
  const ablation = chosen.ablation === undefined ? null : await readAblationSet(chosen.ablation);
  const run = chosen.run === undefined ? starterRunFolder() : await existingRun(chosen.run);
  const lens = await openLens(run, { device, threads, env, signal, note, copiesWeights: true });
  return { reader: lens, info: lens.info, options: { ablation, signal }, close: () => lens.close() };
}

/** Time between notes on how far the reading is. */
const NOTE_MS = 10_000;

async function scoreAll(
  { reader, options }: OpenedReader,
  pairs: readonly PreferenceRecord[],
  beta: number,
  note: (line: string) => void,
): Promise<ScoredPair[]> {
  const scored: ScoredPair[] = [];
  let notedMs = performance.now();
  for (const pair of pairs) {
    scored.push(await scoreOne(reader, pair, beta, options));
    if (performance.now() - notedMs < NOTE_MS) continue;
    notedMs = performance.now();
    note(`${scored.length} of ${pairs.length} pairs read`);
  }
  return scored;
}

async function scoreOne(
  reader: PairReader,
  { row, preference }: PreferenceRecord,
  beta: number,
  options: ReadOptions,
): Promise<ScoredPair> {
  const unread = (why: string): ScoredPair => ({
    ...{ row, prompt: "", margin: null, chosen: null, rejected: null, chosenTokens: null, rejectedTokens: null },
    isCut: null,
    unread: why,
  });
  try {
    const texts = pairTextsOf(preference, reader.template);
    const read = await reader.readPreference(texts, options);
    if (read.kind === "refused") return unread(read.why);
    const { chosen, rejected } = read;
    return {
      row,
      prompt: texts.prompt,
      margin: marginOf(chosen.sum, rejected.sum, beta),
      chosen: chosen.sum,
      rejected: rejected.sum,
      chosenTokens: chosen.tokens,
      rejectedTokens: rejected.tokens,
      isCut: chosen.isCut || rejected.isCut,
      unread: null,
    };
  } catch (error) {
    if (
      error instanceof UnreadableTextError ||
      error instanceof ChatTemplateRefusal ||
      error instanceof ChatTemplateRenderError
    )
      return unread(error.message);
    throw error;
  }
}

interface Summary {
  readonly rows: number;
  readonly pairs: number;
  readonly read: number;
  readonly unread: number;
  readonly faults: Readonly<Record<string, number>>;
  /** Pairs with a margin above zero, as a share of those read, with a 95 % interval over prompts; null if none was read. */
  readonly agreement: {
    readonly agreed: number;
    readonly share: number;
    readonly low: number;
    readonly high: number;
  } | null;
  readonly meanMargin: number | null;
  readonly cut: number;
}

function summaryOf(scored: readonly ScoredPair[], rows: number, faults: Readonly<Record<string, number>>): Summary {
  const read = scored.flatMap(({ margin, prompt }) => (margin === null ? [] : [{ margin, prompt }]));
  const margins = read.map(({ margin }) => margin);
  const agreed = margins.filter((margin) => margin > 0).length;
  const {
    proportion: share,
    low,
    high,
  } = clusteredShare(
    margins.map((margin) => Number(margin > 0)),
    read.map(({ prompt }) => prompt),
  );
  return {
    rows,
    pairs: scored.length,
    read: margins.length,
    unread: scored.length - margins.length,
    faults,
    agreement: margins.length === 0 ? null : { agreed, share, low, high },
    meanMargin: margins.length === 0 ? null : mean(margins),
    cut: scored.filter(({ isCut }) => isCut === true).length,
  };
}

interface ResultParts {
  readonly info: LensInfo;
  readonly beta: number;
  readonly betaFrom: "given" | "run" | "unknown";
  readonly scored: readonly ScoredPair[];
  readonly summary: Summary;
  readonly faults: readonly string[];
}

function resultOf(
  { options: { out, rows } }: ScoreGiven,
  { info, beta, betaFrom, scored, summary, faults }: ResultParts,
): CommandResult {
  const through = info.kind === "run" ? { run: info.runFolder } : { tuned: info.tuned, base: info.base };
  const json = {
    name: "score",
    ...through,
    unit: "nats",
    beta,
    betaFrom,
    device: info.device,
    summary,
    out: out ?? null,
  };
  const { agreement, meanMargin, cut, unread } = summary;
  const lines = [
    ...(out === undefined ? tableOf(scored, rows) : []),
    ...faults.map((line) => `no pair in ${line}`),
    ...(unread === 0 ? [] : [`${unread} ${unread === 1 ? "pair" : "pairs"} not read; --json and --out say why`]),
    ...(cut === 0 ? [] : [`${cut} ${cut === 1 ? "pair has" : "pairs have"} an answer whose end was cut off`]),
    agreement === null ? "no pair was read" : agreementLine(agreement, summary.read),
    ...(meanMargin === null ? [] : [`mean margin ${meanMargin.toFixed(3)} nats`]),
    `margin: beta times (chosen - rejected), the sums of log p(tuned) - log p(base) over each answer's tokens given its prompt; ${betaLines[betaFrom](beta)}`,
    ...(out === undefined ? [] : [`every pair is in ${visibleLine(out)}`]),
  ];
  return { json: out === undefined ? { ...json, pairs: scored.map(fieldsOf) } : json, text: lines.join("\n") };
}

const betaLines: { readonly [K in ResultParts["betaFrom"]]: (beta: number) => string } = {
  given: (beta) => `beta ${beta}, as given`,
  run: (beta) => `beta ${beta}, of the run's tuning`,
  unknown: (beta) => `beta ${beta}, as none is known`,
};

function agreementLine({ agreed, share, low, high }: NonNullable<Summary["agreement"]>, read: number): string {
  const percent = (part: number): string => `${(100 * part).toFixed(1)} %`;
  return `learned preference agrees in ${agreed} of ${read} pairs: ${percent(share)} (95 % interval ${percent(low)} to ${percent(high)}); pairs that the model was tuned on count too`;
}

/** One pair a line, at most `most`. */
function tableOf(scored: readonly ScoredPair[], most: number): string[] {
  const line = (cells: readonly string[]): string => cells.map((cell, at) => cell.padStart(at === 0 ? 8 : 12)).join("");
  const shown = (value: number | null): string => (value === null ? "" : value.toFixed(3));
  const rows = scored.slice(0, most).map(({ row, margin, chosen, rejected }) => {
    const learned = margin === null ? "not read" : margin > 0 ? "as given" : "other way";
    return line([`${row}`, shown(margin), shown(chosen), shown(rejected), learned]);
  });
  const more =
    scored.length > most
      ? [`... and ${scored.length - most} pairs more: --rows N shows more, --out FILE writes all`]
      : [];
  return [line(["row", "margin", "chosen", "rejected", "learned"]), ...rows, ...more];
}

/** What is written of a pair: no text of the data. */
function fieldsOf({ prompt: _, ...fields }: ScoredPair): Omit<ScoredPair, "prompt"> {
  return fields;
}

function linesOf(scored: readonly ScoredPair[], out: string): string {
  if (formatOf(out) === "jsonl") return scored.map((pair) => `${JSON.stringify(fieldsOf(pair))}\n`).join("");
  const cell = (value: ScoredPair[keyof ScoredPair]): string =>
    csvCell(typeof value === "boolean" ? `${value}` : value);
  return [columns.join(","), ...scored.map((pair) => columns.map((column) => cell(pair[column])).join(","))]
    .map((line) => `${line}\n`)
    .join("");
}
