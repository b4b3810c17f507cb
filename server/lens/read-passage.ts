/** A passage's values by word or by token. */
import type { TokenValues } from "../protocol/lens.ts";
import type { LensUnit } from "../protocol/lens-unit.ts";
import { answerValuesOf, contextOf, type ReadablePassage, valuesWithin } from "./answer-values.ts";
import type { Lens } from "./lens.ts";
import type { ReadOptions } from "./options.ts";
import type { PairReader } from "./pair-lens.ts";
import { endInDocument, type Passage, toDocument } from "./passages.ts";
import type { Shown } from "./shown.ts";
import { isPairMode, type ModeValues, type PairMode, readPairValues, valuesOf } from "./values.ts";
import { readPairWordValues, wordValuesOf } from "./word-values.ts";

export type { ReadablePassage } from "./answer-values.ts";
export type { Shown } from "./shown.ts";

const byUnit: { readonly [K in LensUnit]: typeof valuesOf } = { word: wordValuesOf, token: valuesOf };
const pairByUnit: { readonly [K in LensUnit]: typeof readPairValues } = {
  word: readPairWordValues,
  token: readPairValues,
};

/**
 * The values of a passage, with offsets in its text; of an answer of a pair, given its prompt; of a message, in its
 * conversation. Throws what `Lens.read`, `Lens.readFeature`, `contextOf` and `readAnswer` throw.
 */
export async function unitValuesOf(
  lens: Lens,
  passage: ReadablePassage,
  { mode, unit }: Shown,
  options: ReadOptions = {},
): Promise<ModeValues> {
  const { text, answer } = passage;
  if (answer !== undefined && isPairMode(mode))
    return answerValuesOf(lens, { text, answer }, { mode, unit }, options, (of) => lens.ratings(of));
  return inContext(passage, options, (whole, how) => byUnit[unit](lens, whole, mode, how));
}

/** The same, by two models alone. Throws what `PairReader.readPair` and `readAnswer` throw. */
export async function pairUnitValuesOf(
  reader: PairReader,
  passage: ReadablePassage,
  { mode, unit }: Shown<PairMode>,
  options: ReadOptions = {},
): Promise<ModeValues> {
  const { text, answer } = passage;
  return answer === undefined
    ? inContext(passage, options, (whole, how) => pairByUnit[unit](reader, whole, mode, how))
    : answerValuesOf(reader, { text, answer }, { mode, unit }, options);
}

/** The values of what the model reads for a passage, as far as they are the passage's. */
async function inContext(
  passage: ReadablePassage,
  options: ReadOptions,
  read: (text: string, options: ReadOptions) => Promise<ModeValues>,
): Promise<ModeValues> {
  const { text, from, templated } = contextOf(passage);
  const values = await read(text, { ...options, templated });
  if (text === passage.text) return values;
  const own = valuesWithin(values, from, from + passage.text.length);
  // A conversation's messages are read together: each counts its own tokens.
  return passage.conversation === undefined ? own : { ...own, read: own.starts.length };
}

/** Values in wire format, in document offsets. */
export function inDocument(passage: Passage, { starts, ends, values, unfamiliar }: ModeValues): TokenValues {
  const place = (offset: number): number => toDocument(passage, offset);
  return {
    starts: Array.from(starts, place),
    ends: Array.from(ends, (offset) => endInDocument(passage, offset)),
    values: [...values],
    unfamiliar: [...unfamiliar],
  };
}
