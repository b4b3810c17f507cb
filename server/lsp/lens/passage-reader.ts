import { type DocumentPassages, documentPassages } from "../../lens/document-passages.ts";
import { preferenceKey } from "../../lens/pair-lens.ts";
import type { ReadablePassage } from "../../lens/read-passage.ts";
import type { AblationSet } from "../../protocol/ablation.ts";
import type { MessageWriter } from "../../tasks/pairs/messages.ts";
import type { Snapshot } from "../documents.ts";
import type { Quarantine } from "../quarantine.ts";
import type { LensSession, OpenedLens } from "./lens-session.ts";
import { nameOf } from "./looked-through.ts";

/** A document in the course of a request: its passages, the lens, and the signal that ends the reading. */
export type DocumentReading = OpenedLens & {
  readonly snapshot: Snapshot;
  readonly passages: DocumentPassages;
  /** Aborted when the request is cancelled, the document changes, or the target changes. */
  readonly signal: AbortSignal;
};

/** A `DocumentReading` whose target is a run. */
export type RunReading = Extract<DocumentReading, { readonly kind: "run" }>;
export type PairDocumentReading = Extract<DocumentReading, { readonly kind: "pair" }>;

/** A document's passages, which depend on how the model writes messages. */
interface CutDocument {
  readonly template: MessageWriter | undefined;
  readonly passages: DocumentPassages;
}

/** Reads passages of documents through the lens. Cuts passages once per version, and reads them under quarantine. */
export class PassageReader {
  readonly #lenses: LensSession;
  readonly #quarantine: Quarantine;
  readonly #passages = new WeakMap<Snapshot, CutDocument>();

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
      passages: this.#cut(snapshot, opened.lens.template),
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
      passages: this.#cut(snapshot, opened.lens.template),
      signal: AbortSignal.any([asked, snapshot.left, opened.left]),
    };
  }

  /**
   * Reads a passage under quarantine. `how` names what else the computation depends on. Throws `QuarantinedError`, and
   * what `work` throws.
   */
  read<T>(reading: DocumentReading, passage: ReadablePassage, how: string, work: () => Promise<T>): Promise<T> {
    return this.#quarantine.guard(
      "A passage of this document",
      ["passage", nameOf(reading), how, inputOf(passage)],
      work,
    );
  }

  #cut(snapshot: Snapshot, template: MessageWriter | undefined): DocumentPassages {
    const known = this.#passages.get(snapshot);
    if (known !== undefined && known.template === template) return known.passages;
    const passages = documentPassages(snapshot.text, snapshot.languageId, template);
    this.#passages.set(snapshot, { template, passages });
    return passages;
  }
}

/** Identifies what is read of a passage. */
function inputOf({ text, answer, conversation }: ReadablePassage): string {
  if (conversation !== undefined) return `conversation ${conversation.text}`;
  return answer === undefined ? text : preferenceKey(answer.texts);
}

/** The quarantine's key for what a reading depends on besides the text. */
export function readingKey(kind: string, ablation: AblationSet | null): string {
  return `${kind} ${JSON.stringify(ablation?.features ?? [])}`;
}
