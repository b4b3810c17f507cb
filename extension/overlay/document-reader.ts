/**
 * What has been read of one document, and the asking for more. Answers for an older version of the text are dropped, so that a number never
 * stands beside a word that it was not read from.
 */
import * as vscode from "vscode";
import type { AblationSet } from "../../server/protocol/ablation.ts";
import type { LensMode, ReadPassage } from "../../server/protocol/lens.ts";
import type { LensUnit } from "../../server/protocol/lens-unit.ts";
import type { ServerConnection } from "../server-connection.ts";
import { isObsolete, messageOf, ServerFailure } from "../server-failure.ts";
import type { Interval } from "./colour-stretches.ts";
import { type Coverage, missing, withInterval } from "./coverage.ts";

/** What the text is read for. */
export interface View {
  readonly mode: LensMode;
  readonly unit: LensUnit;
  readonly ablation: AblationSet | null;
}

/** What is known of the document's present version. */
export interface DocumentTokens {
  readonly version: number;
  readonly view: View;
  /** In document order. */
  readonly passages: readonly ReadPassage[];
  readonly limit: number;
  /** Of passages that could not be read: why. */
  readonly unread: readonly string[];
}

export interface DocumentReaderOptions {
  readonly document: vscode.TextDocument;
  readonly server: ServerConnection;
  readonly maxTokens: () => number;
  /** The parts of the document that are worth reading now, the most important first. */
  readonly wanted: () => readonly Interval[];
  /** Something was read, or nothing is known any more, or reading failed. */
  readonly onChange: (reading: DocumentReader) => void;
}

/** For an answer that came too late though the text stands still: the server may be catching up. */
const MOST_RETRIES = 3;
const RETRY_MS = 250;

/** What is known of one document at its present version: read part by part, dropped by an edit, and read again. */
export class DocumentReader implements vscode.Disposable {
  readonly document: vscode.TextDocument;
  readonly #options: DocumentReaderOptions;
  #view: View;
  #version: number;
  #passages: readonly ReadPassage[] = [];
  #coverage: Coverage = [];
  #limit: number | undefined;
  /** By where the passage starts. */
  #unread: ReadonlyMap<number, string> = new Map();
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

  /** Undefined while nothing is known of the document's present version. */
  get current(): DocumentTokens | undefined {
    if (this.#limit === undefined || this.#version !== this.document.version) return undefined;
    return {
      version: this.#version,
      view: this.#view,
      passages: this.#passages,
      limit: this.#limit,
      unread: [...this.#unread.values()],
    };
  }

  /** Why the last attempt failed; undefined after one that did not. */
  get failure(): string | undefined {
    return this.#failure;
  }

  get isReading(): boolean {
    return this.#asking !== undefined || this.#timer !== undefined;
  }

  /** Forgets everything and reads for another view, or anew for the same one. */
  restart(view: View): void {
    this.#view = view;
    this.#forget();
    this.#options.onChange(this);
    this.read();
  }

  /** The text changed: what was read is void, and the new text is read once it has stood for a while. */
  edited(delayMs: number): void {
    this.#forget();
    this.read(delayMs);
  }

  /** Reads what is wanted and not read yet, now or after a while; a later call puts an earlier one off. */
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
    this.#failure = undefined;
  }

  /** Asks, one question at a time, until all that is wanted has been read. */
  async #readOn(): Promise<void> {
    const asking = new vscode.CancellationTokenSource();
    this.#asking = asking;
    try {
      for (;;) {
        const [next] = missing(this.#coverage, this.#options.wanted());
        if (next === undefined) break;
        await this.#ask(next, asking.token);
        // Someone else asks now, for another text or view.
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
    // A run without a store of features gives the largest value of each answer alone.
    this.#limit = Math.max(this.#limit ?? 0, answer.limit);
    const known = new Set(this.#passages.map(({ start }) => start));
    const fresh = answer.passages.filter(({ start }) => !known.has(start));
    this.#passages = [...this.#passages, ...fresh].sort((one, other) => one.start - other.start);
    const refused = answer.unread.map(({ start, failure }) => [start, failure.message] as const);
    this.#unread = new Map([...this.#unread, ...refused]);
    for (const { start, end } of [...answer.passages, ...answer.unread])
      this.#coverage = withInterval(this.#coverage, { start, end });
    const last = answer.passages.at(-1);
    // An answer that was cut short covers the range as far as it goes; one without any passage must not be asked for again.
    const isCut = !answer.complete && last !== undefined && last.end > range.start;
    this.#coverage = withInterval(this.#coverage, isCut ? { start: range.start, end: last.end } : range);
  }
}
