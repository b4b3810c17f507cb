import { basename } from "node:path";
import { Pacer } from "../../common/pacer.ts";
import { ChatMessagesError, type ChatTemplate, loadChatTemplate } from "../../models/chat-template.ts";
import { endlessMarksAt, loadTokenizer, type Tokenizer } from "../../models/tokenizer.ts";
import type { Stage, StageContext } from "../../runs/stage.ts";
import { type PairTexts, pairTextsOf } from "../../tasks/pairs/pair-texts.ts";
import { type PairTask, pairTasks } from "../../tasks/tasks.ts";
import type { PairTokensConfig } from "../../tuning/pair-tokens-config.ts";
import { type PairLoss, pairLosses, pairTokens } from "../../tuning/preference-tokens.ts";
import { writeJson, writeJsonLines } from "../artifacts/json-files.ts";
import {
  analysisPairs,
  heldOutPairs,
  type PairCounts,
  type PairRecord,
  type PairsRead,
  tuningPairs,
} from "../artifacts/pairs.ts";
import { analysisTexts, countsFile, heldOutTexts, type SourceText, tuningTexts } from "../artifacts/texts.ts";
import { pairSetOf, type ReadPair } from "../data/pair-sets.ts";
import { splitByGroup, withGroups, withoutGroupsOf } from "../data/pair-split.ts";
import { type PreferenceRecord, readPreferences } from "../data/preferences.ts";
import { DataFileError, MOST_TEXT_UNITS } from "../data/rows.ts";
import { heldOutCount } from "../experiment/schema.ts";

/** A source of pairs: files in order, and the maximum number of pairs. */
export interface PairSource {
  /** Inputs of the stage, in order. */
  readonly files: readonly string[];
  readonly limit: number | null;
}

export interface PreparePairsSettings {
  readonly data: PairSource;
  /** Held-out pairs: a share below 1, or a number. 0: the analysis pairs with other prompts are used. */
  readonly heldOut: number;
  /** Another source for autoencoders and contrasts; null: the tuning and the held-out pairs together. */
  readonly analysis: PairSource | null;
  readonly task: PairTask;
  /** How pairs become tokens: pairs that leave nothing to learn are dropped. */
  readonly tokens: PairTokensConfig;
}

type Context = StageContext<PreparePairsSettings, string>;
type Ungrouped = Omit<PairRecord, "group">;

/** Reads preference data once and splits it by prompt, so that every later stage sees the same pairs. */
export const preparePairsStage: Stage<PreparePairsSettings, string> = {
  name: "prepare-pairs",
  codeVersion: 2,
  run: async (context) => {
    const { settings, input, output, message } = context;
    const warning = pairTasks[settings.task].warning;
    if (warning !== null) message(warning, "warning");
    const reader = await PairReader.open(context, input("model"));
    const data = await reader.read(settings.data, "");
    const other = settings.analysis === null ? undefined : await reader.read(settings.analysis, "analysis-");
    const [drawn = [], analysed = []] = withGroups(data.pairs, other?.pairs ?? []);
    const { tuning, heldOut } = split(drawn, other === undefined ? undefined : analysed, settings.heldOut);
    const analysis = other === undefined ? drawn : analysed;
    const sets = { tuning, heldOut, analysis };
    await writeJsonLines(output, tuningPairs, checked(tuning));
    await writeJsonLines(output, heldOutPairs, checked(heldOut));
    await writeJsonLines(output, analysisPairs, checked(analysis));
    const texts = { tuning: textsOf(tuning), heldOut: textsOf(heldOut), analysis: textsOf(analysis) };
    await writeJsonLines(output, tuningTexts, texts.tuning);
    await writeJsonLines(output, heldOutTexts, texts.heldOut);
    await writeJsonLines(output, analysisTexts, texts.analysis);
    await writeJson(output, countsFile, {
      tuning: texts.tuning.length,
      heldOut: texts.heldOut.length,
      analysis: texts.analysis.length,
      read: { data: data.counts, analysis: other?.counts ?? null },
      sets: {
        tuning: pairSetOf(reader.withTokens(sets.tuning)),
        heldOut: pairSetOf(reader.withTokens(sets.heldOut)),
        analysis: pairSetOf(reader.withTokens(sets.analysis)),
      },
    } satisfies PairCounts);
  },
};

interface Read {
  readonly pairs: readonly Ungrouped[];
  readonly counts: PairsRead;
}

/** Reads sources of pairs as the model reads them. */
class PairReader {
  readonly #context: Context;
  readonly #tokenizer: Tokenizer;
  readonly #template: ChatTemplate | undefined;
  /** The tokens of every pair that was read, by its id. */
  readonly #tokens = new Map<string, ReadPair["tokens"]>();

  private constructor(context: Context, tokenizer: Tokenizer, template: ChatTemplate | undefined) {
    this.#context = context;
    this.#tokenizer = tokenizer;
    this.#template = template;
  }

  static async open(context: Context, folder: string): Promise<PairReader> {
    return new PairReader(context, await loadTokenizer(folder), await loadChatTemplate(folder));
  }

  /**
   * Draws at most `limit` pairs from all, and drops those of whose tokens nothing is left. `prefix` begins the names of
   * the source's pairs. Throws `NothingLeftError`, and what `readPreferences` throws.
   */
  async read({ files, limit }: PairSource, prefix: string): Promise<Read> {
    const { signal, random, progress } = this.#context;
    const { rows, faults, found } = await this.#rowsOf(files, prefix);
    const drawn = random.shuffled(found).slice(0, limit ?? found.length);
    const tally = { rules: {}, forms: {}, lost: {}, endlessMarks: 0, refused: 0, unshared: 0 };
    const counts = { rows, faults, drawn: drawn.length, ...tally } satisfies PairsRead;
    for (const { record } of found) count(counts.rules, record.rule);
    const pacer = new Pacer(signal);
    const pairs: Ungrouped[] = [];
    for (const [at, one] of drawn.entries()) {
      const pair = this.#readOne(one, counts);
      if (pair !== undefined) pairs.push(pair);
      progress(at + 1, drawn.length, "pairs");
      await pacer.pause();
    }
    if (pairs.length === 0) throw new NothingLeftError(counts);
    return { pairs, counts };
  }

  withTokens(pairs: readonly PairRecord[]): ReadPair[] {
    return pairs.flatMap((record) => {
      const tokens = this.#tokens.get(record.id);
      return tokens === undefined ? [] : [{ record, tokens }];
    });
  }

  /** The pairs of all files, with names of their rows. */
  async #rowsOf(
    files: readonly string[],
    prefix: string,
  ): Promise<{
    readonly rows: number;
    readonly faults: Record<string, number>;
    readonly found: readonly { readonly id: string; readonly record: PreferenceRecord }[];
  }> {
    const { input, signal } = this.#context;
    const faults: Record<string, number> = {};
    const found: { id: string; record: PreferenceRecord }[] = [];
    let [rows, units] = [0, 0];
    for (const [index, file] of files.entries()) {
      const path = input(file);
      const read = await readPreferences(path, { signal });
      rows += read.rows;
      units += read.units;
      for (const [fault, own] of Object.entries(read.faults)) faults[fault] = (faults[fault] ?? 0) + own;
      // Files of one data set in several folders can have one name.
      const name = files.length === 1 ? basename(path) : `${index}-${basename(path)}`;
      for (const record of read.pairs) found.push({ id: `${prefix}${name}/${record.row}`, record });
      if (units > MOST_TEXT_UNITS)
        throw new DataFileError(
          `the ${files.length} files have more than ${MOST_TEXT_UNITS} characters of text up to ${path}: give fewer of them`,
        );
    }
    return { rows, faults, found };
  }

  #readOne(
    { id, record }: { readonly id: string; readonly record: PreferenceRecord },
    counts: Tally,
  ): Ungrouped | undefined {
    const texts = this.#textsOf(record, counts);
    if (texts === undefined) return undefined;
    if ([texts.prompt, texts.chosen, texts.rejected].some((text) => endlessMarksAt(text) !== undefined)) {
      counts.endlessMarks += 1;
      return undefined;
    }
    const tokens = pairTokens(texts, this.#tokenizer, this.#context.settings.tokens);
    if (tokens.kind === "lost") {
      count(counts.lost, tokens.reason);
      return undefined;
    }
    count(counts.forms, texts.form);
    if (tokens.unshared.length > 0) counts.unshared += 1;
    this.#tokens.set(id, tokens);
    return { id, rule: record.rule, ...texts };
  }

  #textsOf({ preference }: PreferenceRecord, counts: Tally): PairTexts | undefined {
    try {
      return pairTextsOf(preference, this.#template);
    } catch (error) {
      if (!(error instanceof ChatMessagesError)) throw error;
      counts.refused += 1;
      return undefined;
    }
  }
}

/** No pair of a source can be learned from. */
export class NothingLeftError extends DataFileError {
  constructor({ drawn, lost, refused, endlessMarks }: Pick<PairsRead, "drawn" | "lost" | "refused" | "endlessMarks">) {
    const reasons = [
      ...Object.entries(lost).map(([reason, pairs]) => `${pairs}: ${pairLosses[reason as PairLoss]}`),
      ...(refused === 0 ? [] : [`${refused}: the model's chat template refuses their messages`]),
      ...(endlessMarks === 0 ? [] : [`${endlessMarks}: too many combining marks in a row`]),
    ];
    super(
      `none of the ${drawn} pairs can be learned from (${reasons.join("; ")}): give other pairs, or change tuning.pairs.tokens`,
    );
  }
}

interface Tally {
  readonly forms: Record<string, number>;
  readonly lost: Record<string, number>;
  endlessMarks: number;
  refused: number;
  unshared: number;
}

function count(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

/** The pairs to tune on and those held out; of another source, the latter are those whose prompts tuning does not have. */
function split(
  drawn: readonly PairRecord[],
  analysed: readonly PairRecord[] | undefined,
  heldOut: number,
): { readonly tuning: readonly PairRecord[]; readonly heldOut: readonly PairRecord[] } {
  if (heldOut > 0 || analysed === undefined) return splitByGroup(drawn, heldOutCount(heldOut, drawn.length));
  const unseen = withoutGroupsOf(analysed, drawn);
  if (unseen.length === 0) throw new SamePromptsError(analysed.length);
  return { tuning: drawn, heldOut: unseen };
}

/** Every prompt of the analysis data is one of the tuning data. */
export class SamePromptsError extends DataFileError {
  constructor(pairs: number) {
    super(
      `all ${pairs} pairs of the analysis data have prompts that the tuning data has too, so that none can be held out: ` +
        "give other analysis data, or hold pairs out with data.heldOut",
    );
  }
}

/** What models read of pairs, once each: prompt and answer as one text. */
function textsOf(pairs: readonly PairRecord[]): SourceText[] {
  const seen = new Set<string>();
  return pairs.flatMap(({ id, form, prompt, chosen, rejected }) => {
    const written = form === "template" ? { templated: true as const } : {};
    const texts = [
      { id: `${id}/chosen`, text: prompt + chosen, ...written },
      { id: `${id}/rejected`, text: prompt + rejected, ...written },
    ];
    return texts.filter(({ text }) => {
      const isNew = !seen.has(text);
      seen.add(text);
      return isNew;
    });
  });
}

/** Throws `DataFileError` for more text than later stages can read as one file. */
function checked(pairs: readonly PairRecord[]): readonly PairRecord[] {
  const bytes = pairs.reduce(
    (sum, { prompt, chosen, rejected }) => sum + Buffer.byteLength(prompt + prompt + chosen + rejected),
    0,
  );
  if (bytes > MOST_KEPT_BYTES)
    throw new DataFileError(
      `the pairs have ${bytes} bytes of text, prompts counted twice, and at most ${MOST_KEPT_BYTES} can be handed on: lower data.limit`,
    );
  return pairs;
}

/** Below what a stage reads as one file, with room for JSON's escapes. */
const MOST_KEPT_BYTES = 2 ** 28;
