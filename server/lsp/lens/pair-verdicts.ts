/** What a model learned about the pairs of preference files, remembered by the pair's texts. */
import type { RecordLine } from "../../lens/document-passages.ts";
import { keyOf } from "../../lens/host.ts";
import { type PairReader, preferenceKey } from "../../lens/pair-lens.ts";
import { marginOf } from "../../lens/preference-reading.ts";
import type { PreferenceLine } from "../../lens/preference-record.ts";
import { UnreadableTextError } from "../../models/tokenizer.ts";
import type { AblationSet } from "../../protocol/ablation.ts";
import { betaOf } from "../../protocol/beta.ts";
import type { PairResult, ReadPairRecord } from "../../protocol/pairs.ts";
import { whyNotOffered } from "../../protocol/power.ts";
import type { Snapshot } from "../documents.ts";
import { failureOf } from "../failures.ts";
import { infoOf } from "./looked-through.ts";
import { type DocumentReading, type PassageReader, readingKey } from "./passage-reader.ts";

type PairOfLine = Extract<PreferenceLine, { readonly kind: "pair" }>;

/** The records of one version of a document that were read by one lens. */
interface KnownRecords {
  readonly lens: PairReader;
  readonly ablation: string;
  readonly records: Map<number, ReadPairRecord>;
}

/** Called when a record of a document was read that was not known of this version. */
export type RecordsListener = (snapshot: Snapshot) => void;

export class PairVerdicts {
  readonly #reader: PassageReader;
  readonly #results = new WeakMap<PairReader, Map<string, PairResult>>();
  readonly #known = new WeakMap<Snapshot, KnownRecords>();
  readonly #listeners: RecordsListener[] = [];

  constructor(reader: PassageReader) {
    this.#reader = reader;
  }

  listen(listener: RecordsListener): void {
    this.#listeners.push(listener);
  }

  /** Whether the target can tell what was learned about pairs; a difference of two runs cannot. */
  static isOffered(reading: DocumentReading): boolean {
    const info = infoOf(reading);
    return whyNotOffered("learned", info) === undefined && (info.kind === "run" || info.difference === undefined);
  }

  /** Reads a line's pair; undefined if the line is no preference. Throws only what concerns the whole request. */
  async read(
    reading: DocumentReading,
    { line, start, end, preference }: RecordLine,
    ablation: AblationSet | null,
  ): Promise<ReadPairRecord | undefined> {
    if (preference === undefined) return undefined;
    const result: PairResult =
      preference.kind === "fault"
        ? { kind: "unread", why: preference.why }
        : await this.#resultOf(reading, preference, ablation);
    const record = { line, start, end, result };
    const known = this.#recordsOf(reading, ablation);
    const isNew = !known.has(line);
    known.set(line, record);
    if (isNew) for (const listener of this.#listeners) listener(reading.snapshot);
    return record;
  }

  /** The records of a document's version that are known, by line. */
  known(reading: DocumentReading, ablation: AblationSet | null): ReadonlyMap<number, ReadPairRecord> {
    return this.#recordsOf(reading, ablation);
  }

  #recordsOf({ snapshot, lens }: DocumentReading, set: AblationSet | null): Map<number, ReadPairRecord> {
    const known = this.#known.get(snapshot);
    const ablation = readingKey("", set);
    if (known !== undefined && known.lens === lens && known.ablation === ablation) return known.records;
    const records = new Map<number, ReadPairRecord>();
    this.#known.set(snapshot, { lens, ablation, records });
    return records;
  }

  async #resultOf(reading: DocumentReading, { texts }: PairOfLine, ablation: AblationSet | null): Promise<PairResult> {
    const { lens, signal } = reading;
    const key = keyOf([readingKey("pair", ablation)], preferenceKey(texts));
    const results = this.#results.get(lens) ?? new Map<string, PairResult>();
    this.#results.set(lens, results);
    const known = results.get(key);
    if (known !== undefined) return known;
    const input = { text: "", answer: { texts, side: "chosen", at: 0 } } as const;
    const result = await this.#reader
      .read(reading, input, readingKey("learned", ablation), () => lens.readPreference(texts, { ablation, signal }))
      .then(
        (read): PairResult => {
          if (read.kind === "refused") return { kind: "unread", why: read.why };
          const [chosen, rejected] = [read.chosen.sum, read.rejected.sum];
          const margin = marginOf(chosen, rejected, betaOf(infoOf(reading)).beta);
          return { kind: "read", chosen, rejected, margin, isCut: read.chosen.isCut || read.rejected.isCut };
        },
        (error: unknown): PairResult => {
          signal.throwIfAborted();
          const { code, message } = failureOf(error);
          if (code !== "quarantined" && !(error instanceof UnreadableTextError)) throw error;
          return { kind: "unread", why: message };
        },
      );
    if (results.size >= MOST_RESULTS) results.clear();
    results.set(key, result);
    return result;
  }
}

/** More pairs than a document of the greatest length has. */
const MOST_RESULTS = 500_000;
