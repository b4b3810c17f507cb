import { type Passage, passagesOf } from "../../lens/passages.ts";
import type { AblationSet } from "../../protocol/ablation.ts";
import type { Snapshot } from "../documents.ts";
import type { Quarantine } from "../quarantine.ts";
import type { LensSession, OpenedLens } from "./lens-session.ts";
import { nameOf } from "./looked-through.ts";

/** A document in the course of a request: its passages, the lens, and the signal that ends the reading. */
export type DocumentReading = OpenedLens & {
  readonly snapshot: Snapshot;
  readonly passages: readonly Passage[];
  /** Aborted when the request is cancelled, the document changes, or the target changes. */
  readonly signal: AbortSignal;
};

/** A `DocumentReading` whose target is a run. */
export type RunReading = Extract<DocumentReading, { readonly kind: "run" }>;
export type PairDocumentReading = Extract<DocumentReading, { readonly kind: "pair" }>;

/** Reads passages of documents through the lens. Cuts passages once per version, and reads them under quarantine. */
export class PassageReader {
  readonly #lenses: LensSession;
  readonly #quarantine: Quarantine;
  readonly #passages = new WeakMap<Snapshot, readonly Passage[]>();

  constructor(lenses: LensSession, quarantine: Quarantine) {
    this.#lenses = lenses;
    this.#quarantine = quarantine;
  }

  /** Opens the lens and cuts the document into passages. Throws what `LensSession.open` throws. */
  async begin(snapshot: Snapshot, asked: AbortSignal): Promise<DocumentReading> {
    const opened = await this.#lenses.open(AbortSignal.any([asked, snapshot.left]));
    return {
      ...opened,
      snapshot,
      passages: this.#cut(snapshot),
      signal: AbortSignal.any([asked, snapshot.left, opened.left]),
    };
  }

  /** Like `begin` if the lens is open already; undefined if it is not. */
  beginIfOpen(snapshot: Snapshot, asked: AbortSignal): DocumentReading | undefined {
    const { opened } = this.#lenses;
    if (opened === undefined) return undefined;
    return {
      ...opened,
      snapshot,
      passages: this.#cut(snapshot),
      signal: AbortSignal.any([asked, snapshot.left, opened.left]),
    };
  }

  /**
   * Reads a passage under quarantine. `how` names what else the computation depends on. Throws `QuarantinedError`, and
   * what `work` throws.
   */
  read<T>(reading: DocumentReading, passage: Passage, how: string, work: () => Promise<T>): Promise<T> {
    return this.#quarantine.guard("A passage of this document", ["passage", nameOf(reading), how, passage.text], work);
  }

  #cut(snapshot: Snapshot): readonly Passage[] {
    const known = this.#passages.get(snapshot) ?? passagesOf(snapshot.text, snapshot.languageId);
    this.#passages.set(snapshot, known);
    return known;
  }
}

/** The passage that contains a document offset. */
export function passageAt(passages: readonly Passage[], offset: number): Passage | undefined {
  let [low, high] = [0, passages.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const passage = passages[middle];
    if (passage === undefined) return undefined;
    if (offset < passage.start) high = middle - 1;
    else if (offset >= passage.end) low = middle + 1;
    else return passage;
  }
  return undefined;
}

/** The quarantine's key for what a reading depends on besides the text. */
export function readingKey(kind: string, ablation: AblationSet | null): string {
  return `${kind} ${JSON.stringify(ablation?.features ?? [])}`;
}
