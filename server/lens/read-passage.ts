/** A passage's values by word or by token. */
import type { LensMode, TokenValues } from "../protocol/lens.ts";
import type { LensUnit } from "../protocol/lens-unit.ts";
import type { Lens } from "./lens.ts";
import type { ReadOptions } from "./options.ts";
import type { PairReader } from "./pair-lens.ts";
import { type Passage, toDocument } from "./passages.ts";
import { type ModeValues, type PairMode, readPairValues, valuesOf } from "./values.ts";
import { readPairWordValues, wordValuesOf } from "./word-values.ts";

/** The mode and unit of a passage's values. */
export interface Shown<M extends LensMode = LensMode> {
  readonly mode: M;
  readonly unit: LensUnit;
}

const byUnit: { readonly [K in LensUnit]: typeof valuesOf } = { word: wordValuesOf, token: valuesOf };
const pairByUnit: { readonly [K in LensUnit]: typeof readPairValues } = {
  word: readPairWordValues,
  token: readPairValues,
};

/** The values of a passage, with offsets in its text. Throws what `Lens.read` and `Lens.readFeature` throw. */
export function unitValuesOf(
  lens: Lens,
  text: string,
  { mode, unit }: Shown,
  options: ReadOptions = {},
): Promise<ModeValues> {
  return byUnit[unit](lens, text, mode, options);
}

/** The same, by two models alone. Throws what `PairReader.readPair` throws. */
export function pairUnitValuesOf(
  reader: PairReader,
  text: string,
  { mode, unit }: Shown<PairMode>,
  options: ReadOptions = {},
): Promise<ModeValues> {
  return pairByUnit[unit](reader, text, mode, options);
}

/** Values in wire format, in document offsets. */
export function inDocument(passage: Passage, { starts, ends, values, unfamiliar }: ModeValues): TokenValues {
  const place = (offset: number): number => toDocument(passage, offset);
  return {
    starts: Array.from(starts, place),
    ends: Array.from(ends, place),
    values: [...values],
    unfamiliar: [...unfamiliar],
  };
}
