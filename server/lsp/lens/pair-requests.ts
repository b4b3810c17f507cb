/** Serves what editors ask about the pairs of preference files. */
import { Pacer } from "../../common/pacer.ts";
import type { Passage } from "../../lens/passages.ts";
import { toDocument } from "../../lens/passages.ts";
import { type PreferenceReading, shareOf } from "../../lens/preference-reading.ts";
import { sides } from "../../lens/sides.ts";
import { pairWordValues } from "../../lens/word-values.ts";
import { betaOf } from "../../protocol/beta.ts";
import type { ParamsOf, ResultOf } from "../../protocol/message.ts";
import { countPairs, DescribePair, differs, type ReadPairRecord, WalkPairs } from "../../protocol/pairs.ts";
import type { Dispatcher } from "../dispatch.ts";
import type { Documents } from "../documents.ts";
import { infoOf, requireOffered } from "./looked-through.ts";
import type { PairVerdicts } from "./pair-verdicts.ts";
import { type DocumentReading, type PassageReader, readingKey } from "./passage-reader.ts";

export interface PairRequestsOptions {
  readonly documents: Documents;
  readonly reader: PassageReader;
  readonly verdicts: PairVerdicts;
}

export function servePairs(dispatcher: Dispatcher, { documents, reader, verdicts }: PairRequestsOptions): void {
  dispatcher.request(WalkPairs, async (asked, { signal }) => {
    const reading = await reader.begin(documents.at(asked.uri, asked.version), signal);
    requireOffered(reading, { kind: "learned" }, asked.ablation);
    return walkPairs(verdicts, reading, asked);
  });
  dispatcher.request(DescribePair, async (asked, { signal }) => {
    const reading = await reader.begin(documents.at(asked.uri, asked.version), signal);
    requireOffered(reading, { kind: "learned" }, asked.ablation);
    return describePair({ reader, verdicts }, reading, asked);
  });
}

/** Time after which an answer tells how far it came. */
const WALK_MS = 1000;

async function walkPairs(
  verdicts: PairVerdicts,
  reading: DocumentReading,
  { version, ablation, from, direction, untilDiffers }: ParamsOf<typeof WalkPairs>,
): Promise<ResultOf<typeof WalkPairs>> {
  const { records } = reading.passages;
  const lines = records?.count ?? 0;
  const read: ReadPairRecord[] = [];
  const pacer = new Pacer(reading.signal);
  const endMs = performance.now() + WALK_MS;
  let at = from;
  let isFound = false;
  while (at >= 0 && at < lines && !isFound && performance.now() < endMs) {
    const line = records?.line(at);
    const record = line === undefined ? undefined : await verdicts.read(reading, line, ablation);
    if (record !== undefined) {
      read.push(record);
      isFound = untilDiffers && differs(record);
    }
    at += direction;
    await pacer.pause();
  }
  const next = isFound || at < 0 || at >= lines ? null : at;
  return { version, differing: read.filter(differs), counts: countPairs(read), next, lines };
}

async function describePair(
  { reader, verdicts }: Pick<PairRequestsOptions, "reader" | "verdicts">,
  reading: DocumentReading,
  { offset, ablation, words: most }: ParamsOf<typeof DescribePair>,
): Promise<ResultOf<typeof DescribePair>> {
  const { records } = reading.passages;
  const line = records?.line(records.lineAt(offset));
  const record = line === undefined ? undefined : await verdicts.read(reading, line, ablation);
  const preference = line?.preference;
  if (record?.result.kind !== "read" || preference?.kind !== "pair") return null;
  const { texts, passages } = preference;
  const input = { text: "", answer: { texts, side: "chosen", at: 0 } } as const;
  const read = await reader.read(reading, input, readingKey("learned", ablation), () =>
    reading.lens.readPreference(texts, { ablation, signal: reading.signal }),
  );
  const words = wordShares(reading, read, passages).toSorted((a, b) => Math.abs(b.share) - Math.abs(a.share));
  const listed = words.slice(0, most);
  const rest = record.result.margin - listed.reduce((sum, { share }) => sum + share, 0);
  return { record, words: listed, rest };
}

type WordShare = NonNullable<ResultOf<typeof DescribePair>>["words"][number];

/** The words of both answers with their shares of the margin, where the document has them. */
function wordShares(reading: DocumentReading, read: PreferenceReading, passages: readonly Passage[]): WordShare[] {
  if (read.kind === "refused") return [];
  const { beta } = betaOf(infoOf(reading));
  const { text } = reading.snapshot;
  return sides.flatMap((side) =>
    passages.flatMap((passage) => {
      const { answer } = passage;
      if (answer?.side !== side) return [];
      const { starts, ends, values } = pairWordValues(read[side], answer.texts[side], { kind: "learned" });
      const to = answer.at + passage.text.length;
      return values.flatMap((value, at): WordShare[] => {
        const [from = 0, end = 0] = [starts[at], ends[at]];
        if (value === null || from < answer.at || end > to) return [];
        const place = { start: toDocument(passage, from - answer.at), end: toDocument(passage, end - answer.at) };
        return [{ ...place, text: text.slice(place.start, place.end), side, share: shareOf(value, side, beta) }];
      });
    }),
  );
}
