/** The hover over a word or token while the learned rewards of two runs are compared. */
import type { DifferenceInfo, DifferenceLens } from "../../lens/difference-lens.ts";
import type { PairLens } from "../../lens/pair-lens.ts";
import { endInDocument, type Passage, toDocument } from "../../lens/passages.ts";
import { pairUnitValuesOf } from "../../lens/read-passage.ts";
import type { LensUnit } from "../../protocol/lens-unit.ts";
import { trustSentence } from "../../protocol/power.ts";
import { plain, quoted } from "../text/markdown.ts";
import { withLinks } from "./hover-links.ts";
import { nats, timesAsLikely } from "./pair-hover.ts";
import type { PairDocumentReading, PassageReader } from "./passage-reader.ts";
import { unitAt } from "./unit-reading.ts";

/** Describes the word or token at a place by both runs; undefined if there is none. Throws what the reading throws. */
export async function describeDifference(
  reader: PassageReader,
  reading: PairDocumentReading,
  lens: DifferenceLens,
  { offset, unit }: { readonly offset: number; readonly unit: LensUnit },
): Promise<{ readonly start: number; readonly end: number; readonly value: string } | undefined> {
  const passage = reading.passages.at(offset);
  if (passage === undefined) return undefined;
  const { sharesTokens } = lens.info.difference;
  const shown = { mode: { kind: "learned" }, unit: sharesTokens ? unit : "word" } as const;
  const found = await unitAt(reader, reading, offset, shown, null);
  const text = found === undefined ? "" : passage.text.slice(found.start, found.end);
  if (found === undefined || text.trim() === "") return undefined;
  const valueIn = (side: PairLens): Promise<number | null> => valueAt(side, passage, found, reading.signal);
  const [a, b] = await Promise.all([valueIn(lens.a), valueIn(lens.b)]);
  return {
    start: toDocument(passage, found.start),
    end: endInDocument(passage, found.end),
    value: differenceHover({ text, difference: found.value, a, b, info: lens.info }),
  };
}

/** One run's learned reward of a stretch of a passage: of the word there, else of the token. */
async function valueAt(
  lens: PairLens,
  passage: Passage,
  { start, end }: { readonly start: number; readonly end: number },
  signal: AbortSignal,
): Promise<number | null> {
  for (const unit of ["word", "token"] as const) {
    const { starts, ends, values } = await pairUnitValuesOf(
      lens,
      passage,
      { mode: { kind: "learned" }, unit },
      { signal },
    );
    const at = starts.findIndex((from, index) => from === start && ends[index] === end);
    if (at >= 0) return values[at] ?? null;
  }
  return null;
}

export interface DifferenceHover {
  readonly text: string;
  /** All in nats. */
  readonly difference: number | null;
  readonly a: number | null;
  readonly b: number | null;
  readonly info: DifferenceInfo;
}

/** The difference that the colour shows, both runs' learned rewards, and how far to trust it. */
export function differenceHover({ text, difference, a, b, info }: DifferenceHover): string {
  const runs = info.difference;
  const [nameA, nameB] = [runs.a.name, runs.b.name].map((name) => plain(name, 60));
  const side = (name: string | undefined, value: number | null): string =>
    value === null
      ? `${name}: not known here`
      : `${name}: **${nats(value)}**, ${timesAsLikely(value)} after its tuning`;
  const number = difference === null ? "not known here" : `**${nats(difference)}**`;
  const said = [
    `${quoted(text.trim())} learned reward of ${nameA} minus ${nameB}: ${number}`,
    "",
    `${side(nameA, a)}  `,
    side(nameB, b),
    "",
    ...(runs.sharesTokens ? [] : ["By words: the two runs' tokenizers are not the same.", ""]),
    trustSentence(info, "learned", { level: "place", isAblated: false }),
  ].join("\n");
  return withLinks(said, difference, `${nameA} minus ${nameB}`);
}
