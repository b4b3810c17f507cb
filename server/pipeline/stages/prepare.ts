import { basename } from "node:path";
import { LfpError } from "../../common/errors.ts";
import type { Random } from "../../common/random.ts";
import { endlessMarksAt } from "../../models/tokenizer.ts";
import type { Stage } from "../../runs/stage.ts";
import { writeJson, writeJsonLines } from "../artifacts/json-files.ts";
import { analysisTexts, countsFile, heldOutTexts, type SourceText, tuningTexts } from "../artifacts/texts.ts";
import { DataFileError, MOST_TEXT_UNITS, readTexts } from "../data/texts.ts";
import { heldOutCount } from "../experiment/schema.ts";

/** Where texts come from: files in order, the field that holds the text, and how many rows. */
export interface TextSettings {
  /** Inputs of the stage, in order. */
  readonly files: readonly string[];
  readonly field: string;
  readonly limit: number | null;
}

export interface PrepareSettings {
  readonly data: TextSettings;
  /** Texts kept from tuning, for the evaluation of the reward: a share below 1, or a number. 0: the analysis texts serve. */
  readonly heldOut: number;
  /** Another source for autoencoders and triples; null: the tuning texts and the held-out ones together. */
  readonly analysis: TextSettings | null;
}

/** There are fewer texts than the experiment asks to keep aside. */
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

/** At most `limit` texts, drawn from all: files are often sorted by label, so that a first part of one is no sample of it. */
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
      // One such text would end the run in the first stage that cuts it into tokens.
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

/** What the stages after this one can read as one file, with room for JSON's escapes. */
const MOST_KEPT_UNITS = 2 ** 27;
