/** Reads the pairs of a preference file as a language model is to grade them, and as the studied model reads them. */
import { basename } from "node:path";
import type { PairToGrade } from "../../grading/grade-pair.ts";
import { ChatMessagesError, loadChatTemplate } from "../../models/chat-template.ts";
import type { Message, MessageWriter } from "../../tasks/pairs/messages.ts";
import { pairTextsOf } from "../../tasks/pairs/pair-texts.ts";
import type { Preference } from "../../tasks/pairs/preference-rows.ts";
import { promptKey } from "../data/pair-split.ts";
import { type PreferenceRows, readPreferences } from "../data/preferences.ts";

/** Pairs to grade, with what the file holds. */
export interface PairsToGrade {
  readonly pairs: readonly PairToGrade[];
  readonly rows: number;
  readonly faults: PreferenceRows["faults"];
  /** Pairs left out because an answer has several messages, or because the chat template cannot write their messages. */
  readonly leftOut: { readonly severalMessages: number; readonly refused: number };
}

export interface PairsToGradeOptions {
  /** The preference file. */
  readonly file: string;
  /** The first so many pairs; undefined: all. */
  readonly limit?: number | undefined;
  /**
   * Folder of the model whose chat template writes messages out; undefined, or a model without one: a transcript of
   * "Human:" and "Assistant:", as runs write it for such models.
   */
  readonly modelFolder?: string | undefined;
  readonly signal: AbortSignal;
}

/** Throws `DataFileError`, `ChatTemplateFileError` and the signal's reason. */
export async function readPairsToGrade(options: PairsToGradeOptions): Promise<PairsToGrade> {
  const { file, limit, modelFolder, signal } = options;
  const read = await readPreferences(file, { signal });
  const template = modelFolder === undefined ? undefined : await loadChatTemplate(modelFolder);
  const source = basename(file);
  const groups = new Map<string, string>();
  const leftOut = { severalMessages: 0, refused: 0 };
  const pairs: PairToGrade[] = [];
  for (const { row, preference } of read.pairs.slice(0, limit)) {
    const shown = shownOf(preference, template);
    if (typeof shown === "string") {
      leftOut[shown] += 1;
      continue;
    }
    const id = `${source}/${row}`;
    const key = promptKey(shown.prompt);
    const group = groups.get(key) ?? id;
    groups.set(key, group);
    pairs.push({ id, source, group, ...shown });
  }
  return { pairs, rows: read.rows, faults: read.faults, leftOut };
}

type Shown = Pick<PairToGrade, "prompt" | "chosen" | "rejected" | "place">;

/** The judge sees answers as they are; the studied model reads them as its chat template writes them. */
function shownOf(preference: Preference, template: MessageWriter | undefined): Shown | keyof PairsToGrade["leftOut"] {
  if (preference.kind === "texts") {
    const { prompt, chosen, rejected } = preference;
    return { prompt, chosen, rejected, place: (answer) => ({ prompt, answer }) };
  }
  const [chosen, rejected] = [onlyMessage(preference.chosen), onlyMessage(preference.rejected)];
  if (chosen === undefined || rejected === undefined) return "severalMessages";
  const place = (content: string): { prompt: string; answer: string } => {
    const answer = [{ role: "assistant", content }];
    const texts = pairTextsOf({ ...preference, chosen: answer, rejected: answer }, template);
    return { prompt: texts.prompt, answer: texts.chosen };
  };
  try {
    // A template that refuses does so before anything is paid for.
    place(chosen);
    place(rejected);
  } catch (error) {
    if (error instanceof ChatMessagesError) return "refused";
    throw error;
  }
  return { prompt: pairTextsOf(preference, undefined).prompt, chosen, rejected, place };
}

function onlyMessage(messages: readonly Message[]): string | undefined {
  return messages.length === 1 ? messages[0]?.content : undefined;
}
