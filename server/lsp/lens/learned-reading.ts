/** The learned reward around a place of a document. */
import { readAnswer } from "../../lens/answer-values.ts";
import type { PairReading } from "../../lens/pair-reading.ts";
import type { Passage } from "../../lens/passages.ts";
import type { AblationSet } from "../../protocol/ablation.ts";
import { type DocumentReading, type PassageReader, readingKey } from "./passage-reader.ts";

/** Two models' reading of the text that a passage is a part of: its own, or its answer's, given the prompt. */
export interface LearnedReading {
  readonly read: PairReading;
  /** Offsets of `read` are in it. */
  readonly text: string;
  /** Where the passage begins in it. */
  readonly at: number;
}

/** Throws what the reading throws. */
export async function readLearned(
  reader: PassageReader,
  reading: DocumentReading,
  passage: Passage,
  ablation: AblationSet | null,
): Promise<LearnedReading> {
  const { signal } = reading;
  const { answer } = passage;
  const options = { ablation, signal };
  const read = await reader.read(reading, passage, readingKey("learned", ablation), () =>
    answer === undefined ? reading.lens.readPair(passage.text, options) : readAnswer(reading.lens, answer, options),
  );
  return { read, text: answer === undefined ? passage.text : answer.texts[answer.side], at: answer?.at ?? 0 };
}
