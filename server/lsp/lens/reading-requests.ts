import { Pacer } from "../../common/pacer.ts";
import type { DocumentRange } from "../../lens/document-passages.ts";
import { UnreadPassageError } from "../../lens/errors.ts";
import type { Passage } from "../../lens/passages.ts";
import { inDocument, type Shown } from "../../lens/read-passage.ts";
import { displayLimit, pairLimit } from "../../lens/values.ts";
import { UnreadableTextError } from "../../models/tokenizer.ts";
import type { AblationSet, FeatureId } from "../../protocol/ablation.ts";
import type { WireFailure } from "../../protocol/failure.ts";
import { JobProgress } from "../../protocol/job-progress.ts";
import {
  CompareCompletions,
  DescribeToken,
  type LensMode,
  type ReadPassage,
  ReadTokens,
  StrongestTokens,
  type TokenValues,
} from "../../protocol/lens.ts";
import type { ParamsOf, ResultOf } from "../../protocol/message.ts";
import type { ReadPairRecord } from "../../protocol/pairs.ts";
import type { Dispatcher } from "../dispatch.ts";
import type { Documents } from "../documents.ts";
import { failureOf, WireError } from "../failures.ts";
import { MAX_TOKENS_AT_ONCE } from "../limits.ts";
import type { Quarantine } from "../quarantine.ts";
import type { LensSession } from "./lens-session.ts";
import { requireOffered, requireRun } from "./looked-through.ts";
import { PairVerdicts } from "./pair-verdicts.ts";
import type { DocumentReading, PassageReader } from "./passage-reader.ts";
import { Strongest } from "./strongest.ts";
import type { TokenDetails } from "./token-detail.ts";
import { pairModeOf, readUnits } from "./unit-reading.ts";

export interface ReadingRequestsOptions {
  readonly documents: Documents;
  readonly reader: PassageReader;
  readonly details: TokenDetails;
  readonly verdicts: PairVerdicts;
  readonly lenses: LensSession;
  readonly quarantine: Quarantine;
  /** A feature's largest activation in its run's texts; undefined if the run has no feature store. */
  readonly largestActivation: (runFolder: string, id: FeatureId) => Promise<number | undefined>;
  /** Notifies the editor of a request's progress. */
  readonly tell: (type: typeof JobProgress, params: ParamsOf<typeof JobProgress>) => void;
}

/** Serves the readings for overlays and for lists of tokens. */
export function serveReadings(
  dispatcher: Dispatcher,
  { documents, reader, details, verdicts, lenses, quarantine, largestActivation, tell }: ReadingRequestsOptions,
): void {
  dispatcher.request(ReadTokens, async (asked, { signal }) => {
    const reading = await reader.begin(documents.at(asked.uri, asked.version), signal);
    const read = await readTokens(reader, reading, asked);
    const pairs = await readPairs(verdicts, reading, asked, read);
    const values = read.passages.flatMap((passage) => passage.tokens.values);
    const { mode } = asked;
    const largest =
      reading.kind === "run" && mode.kind === "feature"
        ? await largestActivation(reading.lens.info.runFolder, mode.id)
        : undefined;
    return { ...read, pairs, limit: limitOf(reading, mode, values, largest) };
  });

  dispatcher.request(StrongestTokens, async (asked, { signal }) => {
    const reading = await reader.begin(documents.at(asked.uri, asked.version), signal);
    const { job } = asked;
    const total = reading.snapshot.text.length;
    const onProgress = (done: number): void => {
      if (job !== null) tell(JobProgress, { job, done, total, message: `${Math.floor((100 * done) / total)} %` });
    };
    return strongestTokens(reader, reading, asked, throttled(onProgress));
  });

  dispatcher.request(CompareCompletions, async (question, { signal }) => {
    const opened = await lenses.open(signal);
    requireRun(opened, "Comparing completions");
    const { lens, left } = opened;
    const parts = ["completions", lens.info.runFolder, JSON.stringify(question)];
    const { ablation, ...rest } = question;
    const options = { ablation, signal: AbortSignal.any([signal, left]) };
    return quarantine.guard("These prompts", parts, () => lens.compareCompletions(rest, options));
  });

  dispatcher.request(DescribeToken, async ({ uri, version, ...question }, { signal }) => {
    const reading = await reader.begin(documents.at(uri, version), signal);
    requireRun(reading, "What is behind a token's number");
    return details.describe(reading, { ...question, withBase: reading.lens.info.hasBase });
  });
}

/** Calls at once and then at most ten times a second. */
function throttled(call: (value: number) => void): (value: number) => void {
  let lastMs = Number.NEGATIVE_INFINITY;
  return (value) => {
    const nowMs = performance.now();
    if (nowMs - lastMs < 100) return;
    lastMs = nowMs;
    call(value);
  };
}

/** No requested passage can be read. */
class UnreadError extends WireError {
  readonly wireCode: WireFailure["code"];

  constructor({ code, message }: WireFailure) {
    super(message);
    this.wireCode = code;
  }
}

async function readTokens(
  reader: PassageReader,
  reading: DocumentReading,
  asked: ParamsOf<typeof ReadTokens>,
): Promise<Omit<ResultOf<typeof ReadTokens>, "limit" | "pairs">> {
  const { version, ranges, maxTokens } = asked;
  requireOffered(reading, asked.mode, asked.ablation);
  const passages: ReadPassage[] = [];
  const unread: ResultOf<typeof ReadTokens>["unread"] = [];
  const pacer = new Pacer(reading.signal);
  let tokens = 0;
  let complete = true;
  for (const passage of reading.passages.touching(ranges)) {
    if (tokens >= maxTokens) complete = false;
    if (!complete) break;
    const { start, end } = passage;
    const one = await readOne(reader, reading, passage, asked);
    if ("failure" in one) {
      unread.push({ start, end, failure: one.failure });
    } else {
      tokens += one.read;
      if (tokens <= maxTokens || passages.length === 0) passages.push({ start, end, tokens: one.tokens });
      else complete = false;
    }
    await pacer.pause();
  }
  const [reason] = unread;
  if (passages.length === 0 && reason !== undefined) throw new UnreadError(reason.failure);
  return { version, passages, unread, complete };
}

/** The preferences among the lines that were read. */
async function readPairs(
  verdicts: PairVerdicts,
  reading: DocumentReading,
  { ranges, ablation }: ParamsOf<typeof ReadTokens>,
  { passages, complete }: Pick<ResultOf<typeof ReadTokens>, "passages" | "complete">,
): Promise<ReadPairRecord[]> {
  const { records } = reading.passages;
  if (records === undefined || !PairVerdicts.isOffered(reading)) return [];
  const end = complete ? Number.POSITIVE_INFINITY : (passages.at(-1)?.end ?? 0);
  const pairs: ReadPairRecord[] = [];
  const pacer = new Pacer(reading.signal);
  for (const line of records.linesTouching(ranges)) {
    if (line.start >= end) break;
    const read = await verdicts.read(reading, line, ablation);
    if (read !== undefined) pairs.push(read);
    await pacer.pause();
  }
  return pairs;
}

async function strongestTokens(
  reader: PassageReader,
  reading: DocumentReading,
  asked: ParamsOf<typeof StrongestTokens>,
  onProgress: (charactersDone: number) => void,
): Promise<ResultOf<typeof StrongestTokens>> {
  const { version, limit, familiarOnly, parts } = asked;
  requireOffered(reading, asked.mode, asked.ablation);
  const strongest = new Strongest(limit);
  const pacer = new Pacer(reading.signal);
  let [read, sum, count, unfamiliar] = [0, 0, 0, 0];
  let complete = true;
  for (const passage of parts.length === 0 ? reading.passages : reading.passages.touching(parts)) {
    if (read >= MAX_TOKENS_AT_ONCE) complete = false;
    if (!complete) break;
    const one = await readOne(reader, reading, passage, asked);
    onProgress(passage.end);
    if ("failure" in one) continue;
    const { starts, ends, values } = one.tokens;
    read += one.read;
    const leftOut = new Set(familiarOnly ? one.tokens.unfamiliar : []);
    for (const [at, value] of values.entries()) {
      const [start = 0, end = 0] = [starts[at], ends[at]];
      if (value === null || !isWithin(parts, start, end)) continue;
      if (leftOut.has(at)) {
        unfamiliar += 1;
        continue;
      }
      sum += value;
      count += 1;
      strongest.offer(start, end, value);
    }
    await pacer.pause();
  }
  const { text } = reading.snapshot;
  const tokens = strongest.sorted().map((token) => ({ ...token, text: text.slice(token.start, token.end) }));
  const mean = count === 0 ? null : sum / count;
  return { version, tokens, mean, count, unfamiliar, complete };
}

/** Whether a word or token lies within one of the parts, if there are any; a token may begin with the space before. */
function isWithin(parts: readonly DocumentRange[], start: number, end: number): boolean {
  return parts.length === 0 || parts.some((part) => start >= part.start - 1 && end <= part.end);
}

/**
 * Reads a passage's values. Returns the failure of an unreadable passage, so that the others can still be read; throws
 * failures that affect the whole request.
 */
async function readOne(
  reader: PassageReader,
  reading: DocumentReading,
  passage: Passage,
  { mode, unit, ablation }: Shown & { readonly ablation: AblationSet | null },
): Promise<{ readonly tokens: TokenValues; readonly read: number } | { readonly failure: WireFailure }> {
  try {
    const values = await readUnits(reader, reading, passage, { mode, unit }, ablation);
    return { tokens: inDocument(passage, values), read: values.read };
  } catch (error) {
    reading.signal.throwIfAborted();
    const failure = failureOf(error);
    // These failures concern one passage only; any other concerns the request.
    if (failure.code === "quarantined" || error instanceof UnreadableTextError || error instanceof UnreadPassageError)
      return { failure };
    throw error;
  }
}

function limitOf(
  reading: DocumentReading,
  mode: LensMode,
  values: Iterable<number | null>,
  largest: number | undefined,
): number {
  return reading.kind === "pair" ? pairLimit(pairModeOf(mode)) : displayLimit(reading.lens, mode, values, largest);
}
