import { basename } from "node:path";
import { LfpError } from "../../common/errors.ts";
import type { Random } from "../../common/random.ts";
import { endlessMarksAt } from "../../models/tokenizer.ts";
import type { Stage } from "../../runs/stage.ts";
import { writeJson, writeJsonLines } from "../artifacts/json-files.ts";
import { analysisTexts, countsFile, heldOutTexts, type SourceText, tuningTexts } from "../artifacts/texts.ts";
import { DataFileError, MOST_TEXT_UNITS } from "../data/rows.ts";
import { readTexts } from "../data/texts.ts";
import { heldOutCount } from "../experiment/schema.ts";

/** A source of texts: files in order, the field that contains the text, and the maximum number of rows. */
export interface TextSettings {
  /** Inputs of the stage, in order. */
  readonly files: readonly string[];
  readonly field: string;
  readonly limit: number | null;
}

export interface PrepareSettings {
  readonly data: TextSettings;
  /** Held-out texts for the evaluation of the reward: a share below 1, or a number. 0: the analysis texts are used. */
  readonly heldOut: number;
  /** Another source for autoencoders and triples; null: the tuning and the held-out texts together. */
  readonly analysis: TextSettings | null;
}

/** The data has fewer texts than the experiment holds out. */
export class TooFewTextsError extends LfpError {
  readonly code = "input";

  constructor(texts: number, heldOut: number) {
    super(`the data has ${texts} texts, of which ${heldOut} are to be held out: give more data or lower data.heldOut`);
  }
}

/** Reads the data once and splits it, so that every later stage sees the same texts. */
export const prepareStage: Stage<PrepareSettings, string> = {
  name: "prepare",
  codeVersion: 1,
  run: async ({ settings, input, output, random, signal, progress, message }) => {
    const leftOut: string[] = [];
    const texts = await sampled(settings.data, input, random, signal, leftOut);
    const kept = heldOutCount(settings.heldOut, texts.length);
    if (texts.length <= kept) throw new TooFewTextsError(texts.length, kept);
    progress(1, 2, "sources");
    const analysis =
      settings.analysis === null ? texts : await sampled(settings.analysis, input, random, signal, leftOut);
    if (leftOut.length > 0) message(leftOutInWords(leftOut), "warning");
    const tuning = texts.slice(kept);
    const heldOut = kept === 0 ? analysis : texts.slice(0, kept);
    await writeJsonLines(output, tuningTexts, tuning);
    await writeJsonLines(output, heldOutTexts, heldOut);
    await writeJsonLines(output, analysisTexts, analysis);
    await writeJson(output, countsFile, {
      tuning: tuning.length,
      heldOut: heldOut.length,
      analysis: analysis.length,
    });
    progress(2, 2, "sources");
  },
};

function leftOutInWords(leftOut: readonly string[]): string {
  const which = `${leftOut.slice(0, 5).join("; ")}${leftOut.length > 5 ? "; …" : ""}`;
  return `${leftOut.length} ${leftOut.length === 1 ? "text was" : "texts were"} left out: so many combining marks in a row cannot be normalised (${which})`;
}

/**
 * Samples at most `limit` texts from all of them: files are often sorted by label, so their first rows are no random
 * sample.
 */
async function sampled(
  { files, field, limit }: TextSettings,
  input: (name: string) => string,
  random: Random,
  signal: AbortSignal,
  leftOut: string[],
): Promise<SourceText[]> {
  const texts: SourceText[] = [];
  let units = 0;
  for (const file of files) {
    const path = input(file);
    for (const { row, text } of await readTexts(path, { field, signal })) {
      units += text.length;
      // Such a text would fail the first stage that tokenises it.
      if (endlessMarksAt(text) === undefined) texts.push({ id: `${basename(path)}/${row}`, text });
      else leftOut.push(`${path}, row ${row + 1}`);
    }
    if (units > MOST_TEXT_UNITS)
      throw new DataFileError(
        `the ${files.length} files have more than ${MOST_TEXT_UNITS} characters of text up to ${path}: give fewer of them`,
      );
  }
  const drawn = random.shuffled(texts).slice(0, limit ?? texts.length);
  const kept = drawn.reduce((sum, { text }) => sum + text.length, 0);
  if (kept > MOST_KEPT_UNITS)
    throw new DataFileError(
      `the texts have ${kept} characters, and at most ${MOST_KEPT_UNITS} can be handed on: lower data.limit`,
    );
  return drawn;
}

/** Maximum text that later stages can read as one file, with room for JSON's escapes. */
const MOST_KEPT_UNITS = 2 ** 27;
