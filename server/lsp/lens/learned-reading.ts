/** The learned reward around a place of a document. */
import { contextOf, readAnswer } from "../../lens/answer-values.ts";
import type { PairReading } from "../../lens/pair-reading.ts";
import type { Passage } from "../../lens/passages.ts";
import type { AblationSet } from "../../protocol/ablation.ts";
import { type DocumentReading, type PassageReader, readingKey } from "./passage-reader.ts";

/** Two models' reading of the text that a passage is a part of: its own, its answer's (given the prompt), or its conversation's. */
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
  const key = readingKey("learned", ablation);
  if (answer !== undefined) {
    const options = { ablation, signal };
    const read = await reader.read(reading, passage, key, () => readAnswer(reading.lens, answer, options));
    return { read, text: answer.texts[answer.side], at: answer.at };
  }
  const { text, from, templated } = contextOf(passage);
  const options = { ablation, signal, templated };
  const read = await reader.read(reading, passage, key, () => reading.lens.readPair(text, options));
  return { read, text, at: from };
}
