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

/** A document's passages, which depend on how the model writes messages, and on which columns of a table are read. */
interface CutDocument {
  readonly template: MessageWriter | undefined;
  readonly columns: readonly string[];
  readonly passages: DocumentPassages;
}

/** Reads passages of documents through the lens. Cuts passages once per version, and reads them under quarantine. */
export class PassageReader {
  readonly #csvColumns: () => readonly string[];
  readonly #lenses: LensSession;
  readonly #quarantine: Quarantine;
  readonly #passages = new WeakMap<Snapshot, CutDocument>();

  /** `csvColumns` gives the names of a table's columns to read. */
  constructor(lenses: LensSession, quarantine: Quarantine, csvColumns: () => readonly string[]) {
    this.#csvColumns = csvColumns;
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
    const columns = this.#csvColumns();
    const isSame = known?.template === template && known?.columns.join("\n") === columns.join("\n");
    if (known !== undefined && isSame) return known.passages;
    const { text, languageId, uri } = snapshot;
    const passages = documentPassages(text, { languageId, path: pathOf(uri), csvColumns: columns, template });
    this.#passages.set(snapshot, { template, columns, passages });
    return passages;
  }
}

/** The path in a document's address, without query and fragment. */
function pathOf(uri: string): string {
  return uri.replace(/[?#].*$/s, "");
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
