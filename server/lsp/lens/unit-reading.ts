/**
 * The values of a document's words or tokens in a mode: one function for colours, lists and hovers. rated-words.ts
 * reads words for problems.
 */
import { fromDocument, type Passage } from "../../lens/passages.ts";
import { pairUnitValuesOf, type Shown, unitValuesOf } from "../../lens/read-passage.ts";
import { tokenAt } from "../../lens/reading.ts";
import { isPairMode, type ModeValues, type PairMode } from "../../lens/values.ts";
import type { AblationSet } from "../../protocol/ablation.ts";
import type { LensMode } from "../../protocol/lens.ts";
import { NotOfferedError } from "./looked-through.ts";
import { type DocumentReading, type PassageReader, readingKey } from "./passage-reader.ts";

/** Reads a passage's values, in offsets of its text. Throws what the reading throws, and `NotOfferedError`. */
export function readUnits(
  reader: PassageReader,
  reading: DocumentReading,
  passage: Passage,
  { mode, unit }: Shown,
  ablation: AblationSet | null,
): Promise<ModeValues> {
  const { signal } = reading;
  return reader.read(reading, passage, readingKey(mode.kind, ablation), () =>
    reading.kind === "pair"
      ? pairUnitValuesOf(reading.lens, passage, { mode: pairModeOf(mode), unit }, { signal })
      : unitValuesOf(reading.lens, passage, { mode, unit }, { ablation, signal }),
  );
}

/** A word or token of a document with its value; null where the mode has none. */
export interface UnitValue {
  /** Offsets in UTF-16 units of the passage's text. */
  readonly start: number;
  readonly end: number;
  readonly value: number | null;
}

/**
 * The word or token at an offset of the document; punctuation is always a token. Undefined if nothing is read there.
 */
export async function unitAt(
  reader: PassageReader,
  reading: DocumentReading,
  offset: number,
  shown: Shown,
  ablation: AblationSet | null,
): Promise<UnitValue | undefined> {
  const passage = reading.passages.at(offset);
  if (passage === undefined) return undefined;
  const found = await readUnits(reader, reading, passage, shown, ablation);
  const at = tokenAt(found, fromDocument(passage, offset));
  if (at !== undefined)
    return { start: found.starts[at] ?? 0, end: found.ends[at] ?? 0, value: found.values[at] ?? null };
  return shown.unit === "token" ? undefined : unitAt(reader, reading, offset, { ...shown, unit: "token" }, ablation);
}

/** Narrows a mode that `requireOffered` has admitted for two checkpoints. */
export function pairModeOf(mode: LensMode): PairMode {
  if (!isPairMode(mode)) throw new NotOfferedError(`Two checkpoints do not offer the mode ${mode.kind}.`);
  return mode;
}
