/**
 * Caches what has been read of one document and requests more. Drops answers for an older version of the text, so that
 * no number stands beside a word from which it was not computed.
 */
import * as vscode from "vscode";
import type { AblationSet } from "../../server/protocol/ablation.ts";
import type { LensMode, ReadPassage } from "../../server/protocol/lens.ts";
import type { LensUnit } from "../../server/protocol/lens-unit.ts";
import type { ReadPairRecord } from "../../server/protocol/pairs.ts";
import type { ServerConnection } from "../server-connection.ts";
import { isObsolete, messageOf, ServerFailure } from "../server-failure.ts";
import type { Interval } from "./colour-stretches.ts";
import { type Coverage, missing, withInterval } from "./coverage.ts";
import { clipped, within } from "./selected-parts.ts";

/** What to read from the text. */
export interface View {
  readonly mode: LensMode;
  readonly unit: LensUnit;
  readonly ablation: AblationSet | null;
}

/** What has been read of the document's current version. */
export interface DocumentTokens {
  readonly version: number;
  readonly view: View;
  /** In document order. */
  readonly passages: readonly ReadPassage[];
  readonly limit: number;
  /** Why passages could not be read. */
  readonly unread: readonly string[];
  /** The preferences among the records that were read, by line. */
  readonly pairs: readonly ReadPairRecord[];
}

export interface DocumentReaderOptions {
  readonly document: vscode.TextDocument;
  readonly server: ServerConnection;
  readonly maxTokens: () => number;
  /** The parts of the document to read now, the most important first. */
  readonly wanted: () => readonly Interval[];
  /** The parts outside of which nothing counts; undefined: the whole document counts. */
  readonly parts: () => readonly Interval[] | undefined;
  /** Called when something was read, when the cache was cleared, and when reading failed. */
  readonly onChange: (reading: DocumentReader) => void;
}

/** Maximum number of retries after a stale answer without an edit: the server may be catching up. */
const MOST_RETRIES = 3;
const RETRY_MS = 250;

/**
 * Cache of one document's readings at its current version: filled part by part, invalidated by an edit, and read again.
 */
export class DocumentReader implements vscode.Disposable {
  readonly document: vscode.TextDocument;
  readonly #options: DocumentReaderOptions;
  #view: View;
  #version: number;
  #passages: readonly ReadPassage[] = [];
  #coverage: Coverage = [];
  #limit: number | undefined;
  /** Reasons by the start of the passage. */
  #unread: ReadonlyMap<number, string> = new Map();
  #pairs: ReadonlyMap<number, ReadPairRecord> = new Map();
  #failure: string | undefined;
  #asking: vscode.CancellationTokenSource | undefined;
  #timer: NodeJS.Timeout | undefined;
  #retries = 0;
  #isDisposed: boolean = false;

  constructor(options: DocumentReaderOptions, view: View) {
    this.#options = options;
    this.document = options.document;
    this.#version = options.document.version;
    this.#view = view;
  }

  /** What has been read; undefined while that is nothing at the document's current version. */
  get current(): DocumentTokens | undefined {
    if (this.#limit === undefined || this.#version !== this.document.version) return undefined;
    return {
      version: this.#version,
      view: this.#view,
      passages: this.#passages,
      limit: this.#limit,
      unread: [...this.#unread.values()],
      pairs: [...this.#pairs.values()].sort((one, other) => one.line - other.line),
    };
  }

  /** Why the last attempt failed; undefined after a successful one. */
  get failure(): string | undefined {
    return this.#failure;
  }

  get isReading(): boolean {
    return this.#asking !== undefined || this.#timer !== undefined;
  }

  /** Clears the cache and reads again, for another view or the same one. */
  restart(view: View): void {
    this.#view = view;
    this.#forget();
    this.#options.onChange(this);
    this.read();
  }

  /** Invalidates the cache after an edit and reads the new text after a pause (debounced). */
  edited(delayMs: number): void {
    this.#forget();
    this.read(delayMs);
  }

  /** Reads what is wanted and not read yet, after `delayMs`; a later call replaces an earlier one that still waits. */
  read(delayMs = 0): void {
    clearTimeout(this.#timer);
    if (this.#isDisposed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#asking === undefined) void this.#readOn();
    }, delayMs);
  }

  dispose(): void {
    this.#isDisposed = true;
    this.#forget();
  }

  #forget(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#asking?.cancel();
    this.#asking = undefined;
    this.#version = this.document.version;
    this.#passages = [];
    this.#coverage = [];
    this.#limit = undefined;
    this.#unread = new Map();
    this.#pairs = new Map();
    this.#failure = undefined;
  }

  /** Sends one request at a time until everything wanted has been read. */
  async #readOn(): Promise<void> {
    const asking = new vscode.CancellationTokenSource();
    this.#asking = asking;
    try {
      for (;;) {
        const [next] = missing(this.#coverage, within(this.#options.wanted(), this.#options.parts()));
        if (next === undefined) break;
        await this.#ask(next, asking.token);
        // A newer loop has taken over, for another text or view.
        if (this.#asking !== asking) return;
        this.#options.onChange(this);
      }
    } catch (error) {
      if (this.#asking !== asking) return;
      if (!isObsolete(error)) this.#failure = messageOf(error);
      else if (this.#retries++ < MOST_RETRIES) this.read(RETRY_MS);
    } finally {
      asking.dispose();
      if (this.#asking === asking) {
        this.#asking = undefined;
        this.#options.onChange(this);
      }
    }
  }

  async #ask(range: Interval, token: vscode.CancellationToken): Promise<void> {
    const { document, server, maxTokens } = this.#options;
    const version = this.#version;
    const uri = document.uri.toString();
    const question = { uri, version, ...this.#view, ranges: [range], maxTokens: maxTokens() };
    const { ReadTokens } = await import("../../server/protocol/lens.ts");
    const answer = await server.request(ReadTokens, question, token);
    if (token.isCancellationRequested || version !== this.#version) return;
    if (answer.version !== document.version) throw new ServerFailure({ code: "stale", message: "" }, answer);
    this.#failure = undefined;
    this.#retries = 0;
    // Without a feature store, `limit` is only the largest value of each answer.
    this.#limit = Math.max(this.#limit ?? 0, answer.limit);
    const known = new Set(this.#passages.map(({ start }) => start));
    const { parts } = this.#options;
    const fresh = answer.passages.filter(({ start }) => !known.has(start)).map((passage) => clipped(passage, parts()));
    this.#passages = [...this.#passages, ...fresh].sort((one, other) => one.start - other.start);
    this.#pairs = new Map([...this.#pairs, ...answer.pairs.map((pair) => [pair.line, pair] as const)]);
    const refused = answer.unread.map(({ start, failure }) => [start, failure.message] as const);
    this.#unread = new Map([...this.#unread, ...refused]);
    for (const { start, end } of [...answer.passages, ...answer.unread])
      this.#coverage = withInterval(this.#coverage, { start, end });
    const last = answer.passages.at(-1);
    // A truncated answer covers the range up to its last passage. One without any passage counts as complete, so as not
    // to be requested again.
    const isCut = !answer.complete && last !== undefined && last.end > range.start;
    this.#coverage = withInterval(this.#coverage, isCut ? { start: range.start, end: last.end } : range);
  }
}
