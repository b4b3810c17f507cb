/** A passage's values by word or by token. */
import type { TokenValues } from "../protocol/lens.ts";
import type { LensUnit } from "../protocol/lens-unit.ts";
import { answerValuesOf, contextOf, valuesWithin } from "./answer-values.ts";
import type { Lens } from "./lens.ts";
import type { ReadOptions } from "./options.ts";
import type { PairReader } from "./pair-lens.ts";
import { endInDocument, type Passage, toDocument } from "./passages.ts";
import type { Shown } from "./shown.ts";
import { isPairMode, type ModeValues, type PairMode, readPairValues, valuesOf } from "./values.ts";
import { readPairWordValues, wordValuesOf } from "./word-values.ts";

export type { Shown } from "./shown.ts";

const byUnit: { readonly [K in LensUnit]: typeof valuesOf } = { word: wordValuesOf, token: valuesOf };
const pairByUnit: { readonly [K in LensUnit]: typeof readPairValues } = {
  word: readPairWordValues,
  token: readPairValues,
};

/** A passage as far as its reading depends on it. */
export type ReadablePassage = Pick<Passage, "text" | "answer">;

/**
 * The values of a passage, with offsets in its text; of an answer of a pair, given its prompt. Throws what `Lens.read`,
 * `Lens.readFeature` and `readAnswer` throw.
 */
export async function unitValuesOf(
  lens: Lens,
  passage: ReadablePassage,
  { mode, unit }: Shown,
  options: ReadOptions = {},
): Promise<ModeValues> {
  const { text, answer } = passage;
  if (answer === undefined) return byUnit[unit](lens, text, mode, options);
  if (isPairMode(mode))
    return answerValuesOf(lens, { text, answer }, { mode, unit }, options, (of) => lens.ratings(of));
  const context = contextOf(passage);
  const values = await byUnit[unit](lens, context.text, mode, options);
  return valuesWithin(values, context.from, context.text.length);
}

/** The same, by two models alone. Throws what `PairReader.readPair` and `readAnswer` throw. */
export function pairUnitValuesOf(
  reader: PairReader,
  { text, answer }: ReadablePassage,
  { mode, unit }: Shown<PairMode>,
  options: ReadOptions = {},
): Promise<ModeValues> {
  return answer === undefined
    ? pairByUnit[unit](reader, text, mode, options)
    : answerValuesOf(reader, { text, answer }, { mode, unit }, options);
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
