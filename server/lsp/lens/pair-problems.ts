/** Problems of preference files: pairs that the model learned the other way than their records give them. */
import type { Diagnostic } from "vscode-languageserver/node";
import { placeIn } from "../../common/json-places.ts";
import { Pacer } from "../../common/pacer.ts";
import { preferenceKey } from "../../lens/pair-lens.ts";
import type { AblationSet } from "../../protocol/ablation.ts";
import { betaOf, betaWords } from "../../protocol/beta.ts";
import type { ReadPairRecord } from "../../protocol/pairs.ts";
import type { IgnoredWord, PairProblemData, ProblemCode } from "../../protocol/problems.ts";
import { problemSource } from "../../protocol/problems.ts";
import { sha256Of } from "../../runs/files.ts";
import { MAX_TOKENS_AT_ONCE } from "../limits.ts";
import { oneLine } from "../text/markdown.ts";
import { infoOf } from "./looked-through.ts";
import { marginWords } from "./pair-share.ts";
import { PairVerdicts } from "./pair-verdicts.ts";
import type { DocumentReading } from "./passage-reader.ts";
import { problemSeverity } from "./problem-finder.ts";

/** About as many characters as the tokens that an operation on a whole document reads. */
const MOST_UNITS = 4 * MAX_TOKENS_AT_ONCE;

/** Reads a document's pairs from its beginning, as many as an operation on a whole document reads. */
export async function readFirstPairs(
  verdicts: PairVerdicts,
  reading: DocumentReading,
  ablation: AblationSet | null,
): Promise<void> {
  const { records } = reading.passages;
  if (records === undefined || !PairVerdicts.isOffered(reading)) return;
  const pacer = new Pacer(reading.signal);
  for (let [at, units] = [0, 0]; at < records.count && units < MOST_UNITS; at++) {
    const line = records.line(at);
    if (line?.preference?.kind === "pair") {
      const { prompt, chosen, rejected } = line.preference.texts;
      units += 2 * prompt.length + chosen.length + rejected.length;
    }
    if (line !== undefined) await verdicts.read(reading, line, ablation);
    await pacer.pause();
  }
}

export interface PairProblemOptions {
  readonly records: Iterable<ReadPairRecord>;
  /** Least difference of the answers' log-ratios, in nats: a margin below beta times this is no problem. */
  readonly threshold: number;
  readonly limit: number;
  readonly ignored: readonly IgnoredWord[];
}

/** The problems of the pairs that were read, at most `limit`: those with the lowest margins. */
export function pairDiagnostics(
  reading: DocumentReading,
  { records, threshold, limit, ignored }: PairProblemOptions,
): Diagnostic[] {
  const { uri } = reading.snapshot;
  const own = new Set(ignored.flatMap((entry) => (entry.uri === uri ? (entry.passage ?? []) : [])));
  const bound = threshold * betaOf(infoOf(reading)).beta;
  const flagged = [...records]
    .flatMap((record) =>
      record.result.kind === "read" && record.result.margin < 0 && -record.result.margin >= bound
        ? [{ record, result: record.result }]
        : [],
    )
    .toSorted((a, b) => a.result.margin - b.result.margin || a.record.line - b.record.line);
  const found: Diagnostic[] = [];
  let more = 0;
  for (const { record, result } of flagged) {
    const isFull = found.length >= limit;
    const data = isFull && own.size === 0 ? undefined : problemDataOf(reading, record);
    if (isFull) {
      if (data === undefined || !own.has(data.passage)) more += 1;
      continue;
    }
    if (data === undefined || own.has(data.passage)) continue;
    const message =
      `The record prefers its chosen answer; the model learned the other way: ${marginWords(result, infoOf(reading))}. ` +
      `(A problem from ${bound.toFixed(2)} nats on: lfpLens.problems.threshold times ${betaWords(infoOf(reading))}. This is not calibrated.)`;
    found.push(diagnosticOf(reading, data, "pair-disagreement", message));
  }
  if (more > 0) {
    const message = `${more} more ${more === 1 ? "pair was" : "pairs were"} learned the other way; lfpLens.problems.limit is ${limit}.`;
    found.push(diagnosticOf(reading, { start: 0, end: 0 }, "pair-disagreement-limit", message));
  }
  return found;
}

/** A problem stands at the name of the chosen answer: its text has colours of its own. */
function problemDataOf({ snapshot, passages }: DocumentReading, record: ReadPairRecord): PairProblemData | undefined {
  const preference = passages.records?.line(record.line)?.preference;
  if (preference?.kind !== "pair") return undefined;
  const json = snapshot.text.slice(record.start, record.end);
  const name = placeIn(json, ["chosen"]) ?? { start: 0, end: 0 };
  const [start, end] = [record.start + name.start, record.start + name.end];
  return {
    start,
    end,
    word: snapshot.text.slice(start, end),
    passage: `pair ${sha256Of(preferenceKey(preference.texts)).slice(0, 16)}`,
    label: oneLine(preference.texts.chosen.trim(), 80),
  };
}

function diagnosticOf(
  { snapshot: { lines } }: DocumentReading,
  data: Pick<PairProblemData, "start" | "end">,
  code: ProblemCode,
  message: string,
): Diagnostic {
  return {
    range: { start: lines.positionAt(data.start), end: lines.positionAt(data.end) },
    severity: problemSeverity,
    source: problemSource,
    code,
    message,
    data,
  };
}
