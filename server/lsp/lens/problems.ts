import { setTimeout as delay } from "node:timers/promises";
import type { Diagnostic } from "vscode-languageserver/node";
import { Pacer } from "../../common/pacer.ts";
import type { Passage } from "../../lens/passages.ts";
import type { Shown } from "../../lens/read-passage.ts";
import { type AblationSet, belongsTo } from "../../protocol/ablation.ts";
import { AblationChanged, type ServerSettings } from "../../protocol/lens-state.ts";
import type { ParamsOf } from "../../protocol/message.ts";
import { countPairs, type PairsRead } from "../../protocol/pairs.ts";
import { readingMode } from "../../protocol/power.ts";
import { MAX_WORD_UNITS, type ProblemCode, ProblemsWanted, problemSource } from "../../protocol/problems.ts";
import type { ReadingChoice, ReadingMode } from "../../protocol/reading-mode.ts";
import type { Dispatcher } from "../dispatch.ts";
import type { Documents, Snapshot } from "../documents.ts";
import { RequestCancelledError } from "../failures.ts";
import { MAX_OPEN_DOCUMENTS, MAX_TOKENS_AT_ONCE } from "../limits.ts";
import type { Session } from "../session.ts";
import type { Judge } from "./judging.ts";
import type { LensSession } from "./lens-session.ts";
import { pairDiagnostics, readFirstPairs } from "./pair-problems.ts";
import type { PairVerdicts } from "./pair-verdicts.ts";
import { type DocumentReading, type PassageReader, type RunReading, readingKey } from "./passage-reader.ts";
import {
  type Disagreement,
  disagreementCode,
  disagreementsIn,
  isIgnored,
  problemMessage,
  problemSeverity,
} from "./problem-finder.ts";
import { ratedWords } from "./rated-words.ts";

export interface ProblemsOptions {
  readonly session: Session;
  readonly documents: Documents;
  readonly lenses: LensSession;
  readonly reader: PassageReader;
  readonly verdicts: PairVerdicts;
  readonly tellPairs: (read: ParamsOf<typeof PairsRead>) => void;
  readonly publish: (uri: string, version: number | undefined, diagnostics: Diagnostic[]) => void;
}

/**
 * Publishes words about which the model learned the opposite of their rating, and pairs of answers that it learned the
 * other way than given. Covers documents whose readings are shown; checks after every change and a pause.
 */
export class Problems {
  readonly #options: ProblemsOptions;
  readonly #dispatcher: Dispatcher;
  /** What each document's colours show, as far as the editor has sent it. */
  readonly #shown = new Map<string, Shown | null>();
  /** Documents for which the editor shows problems. */
  readonly #withProblems = new Set<string>();
  readonly #searches = new Map<string, AbortController>();
  /** The problems of words that were found. */
  #words = new WeakMap<Snapshot, readonly Diagnostic[]>();
  /** Documents of which pairs were read since the editor was told last. */
  readonly #untold = new Set<string>();
  #ablation: AblationSet | null = null;

  constructor(dispatcher: Dispatcher, options: ProblemsOptions) {
    this.#options = options;
    this.#dispatcher = dispatcher;
    const { session, documents, lenses, verdicts } = options;
    dispatcher.notification(ProblemsWanted, ({ uri, wanted, shown }) => this.#want(uri, wanted, shown));
    dispatcher.notification(AblationChanged, ({ ablation }) => {
      this.#ablation = ablation;
      this.again();
    });
    session.listen(() => this.again());
    documents.listen((uri, snapshot) => {
      if (snapshot === undefined) this.#want(uri, false, null);
      else if (this.#shown.has(uri)) this.#search(uri);
    });
    verdicts.listen(({ uri }) => this.#pairRead(uri));
    lenses.openWhen(() => this.#shown.size > 0);
  }

  /** The ablation for hovers and problems read through a run; null if the set is another run's. */
  ablationOn({ lens }: RunReading): AblationSet | null {
    const { runName: name, dictionaries } = lens.info;
    const set = this.#ablation;
    return set?.run !== undefined && !belongsTo(set, { name, dictionaries }) ? null : set;
  }

  /** Whether a document's readings are shown, so that the server may read it unasked. */
  isShown(uri: string): boolean {
    return this.#shown.has(uri);
  }

  /** What a document's colours show; undefined if the editor has not sent it. */
  shownIn(uri: string): Shown | undefined {
    return this.#shown.get(uri) ?? undefined;
  }

  /** Withdraws the problems of all documents, after a change of target. */
  forget(): void {
    for (const search of this.#searches.values()) search.abort(new RequestCancelledError());
    for (const uri of this.#withProblems) this.#options.publish(uri, undefined, []);
    this.#withProblems.clear();
    // Pairs that are told later publish these anew.
    this.#words = new WeakMap();
  }

  /** Checks all documents again whose readings are shown. */
  again(): void {
    for (const uri of this.#shown.keys()) this.#search(uri);
  }

  #want(uri: string, wanted: boolean, shown: Shown | null): void {
    if (!wanted) {
      this.#searches.get(uri)?.abort(new RequestCancelledError());
      this.#searches.delete(uri);
      this.#withProblems.delete(uri);
      if (this.#shown.delete(uri)) this.#options.publish(uri, undefined, []);
      return;
    }
    if (this.#options.documents.find(uri) === undefined || this.#shown.size >= MAX_OPEN_DOCUMENTS) return;
    this.#shown.set(uri, shown);
    this.#options.lenses.needed();
    this.#search(uri);
  }

  #search(uri: string): void {
    this.#searches.get(uri)?.abort(new RequestCancelledError());
    const search = new AbortController();
    this.#searches.set(uri, search);
    this.#dispatcher.guard(`problems of ${uri.slice(-100)}`, async () => {
      await delay(PAUSE_MS, undefined, { signal: search.signal }).catch(() => undefined);
      const snapshot = this.#options.documents.find(uri);
      if (search.signal.aborted || snapshot === undefined) return;
      const { settings } = this.#options.session;
      const diagnostics = settings.problems.enabled ? await this.#find(snapshot, settings, search.signal) : [];
      // Undefined: the lens is not open; opening it starts another check.
      if (diagnostics === undefined || search.signal.aborted) return;
      this.#words.set(snapshot, diagnostics);
      this.#publish(snapshot);
      const reading = settings.problems.enabled ? this.#options.reader.beginIfOpen(snapshot, search.signal) : undefined;
      if (reading !== undefined) await readFirstPairs(this.#options.verdicts, reading, this.#ablationOf(reading));
    });
  }

  /** Tells the editor of pairs that were read, after a pause in which more may be. */
  #pairRead(uri: string): void {
    if (!this.#shown.has(uri) || this.#untold.has(uri)) return;
    this.#untold.add(uri);
    setTimeout(() => {
      this.#untold.delete(uri);
      const snapshot = this.#shown.has(uri) ? this.#options.documents.find(uri) : undefined;
      if (snapshot !== undefined) this.#publish(snapshot);
    }, PAIRS_MS).unref();
  }

  /** Publishes the problems that are known of a document, and how many pairs were read. */
  #publish(snapshot: Snapshot): void {
    const { uri, version } = snapshot;
    const { session, verdicts, tellPairs, publish } = this.#options;
    const { threshold, limit, enabled } = session.settings.problems;
    const { ignored } = session.options;
    const reading = this.#options.reader.beginIfOpen(snapshot, new AbortController().signal);
    const known = reading === undefined ? undefined : verdicts.known(reading, this.#ablationOf(reading));
    const records = [...(known?.values() ?? [])];
    if (records.length > 0) tellPairs({ uri, version, counts: countPairs(records) });
    const ofPairs =
      reading === undefined || !enabled ? [] : pairDiagnostics(reading, { records, threshold, limit, ignored });
    const diagnostics = [...(this.#words.get(snapshot) ?? []), ...ofPairs];
    publish(uri, version, diagnostics);
    if (diagnostics.length > 0) this.#withProblems.add(uri);
    else this.#withProblems.delete(uri);
  }

  /** Two checkpoints have no features to ablate. */
  #ablationOf({ kind }: DocumentReading): AblationSet | null {
    return kind === "pair" ? null : this.#ablation;
  }

  async #find(
    snapshot: Snapshot,
    { problems: { threshold, limit }, fadeUnfamiliar: familiarOnly, reading: wanted }: ServerSettings,
    signal: AbortSignal,
  ): Promise<Diagnostic[] | undefined> {
    const reading = this.#options.reader.beginIfOpen(snapshot, signal);
    if (reading === undefined) return undefined;
    // Two checkpoints have no ratings.
    if (reading.kind === "pair" || !reading.lens.info.hasTrueReward) return [];
    const { ignored } = this.#options.session.options;
    const judge = { ...judgeOf(reading, wanted, this.ablationOn(reading)), threshold, familiarOnly };
    const found: Disagreement[] = [];
    let more = 0;
    let tokens = 0;
    const pacer = new Pacer(reading.signal);
    for (const passage of reading.passages) {
      if (tokens >= MAX_TOKENS_AT_ONCE) break;
      // Of a preference, the pair is judged and not its words.
      if (passage.answer !== undefined) continue;
      const { words, read } = await this.#readPassage(reading, passage, judge.mode);
      tokens += read;
      for (const one of disagreementsIn(passage, words, judge)) {
        if (isIgnored(one, snapshot.uri, ignored)) continue;
        if (found.length < limit) found.push(one);
        else more += 1;
      }
      await pacer.pause();
    }
    return [
      ...found.map((one) => diagnosticOf(snapshot, one)),
      ...(more > 0 ? [limitDiagnostic(snapshot, limit, more)] : []),
    ];
  }

  /** Problems of a passage; none if it cannot be read. The overlay's request for it reports why. */
  async #readPassage(reading: RunReading, passage: Passage, mode: ReadingMode): ReturnType<typeof ratedWords> {
    const { lens, signal } = reading;
    const ablation = this.#ablation;
    try {
      return await this.#options.reader.read(reading, passage, readingKey(mode, ablation), () =>
        ratedWords(lens, passage, mode, { ablation, signal }),
      );
    } catch {
      signal.throwIfAborted();
      return { words: [], read: 0 };
    }
  }
}

/** The judge of words. Under an ablation it has no lexicon, because that describes the model as tuned. */
export function judgeOf(
  { lens }: Pick<RunReading, "lens">,
  wanted: ReadingChoice,
  ablation: AblationSet | null,
): Omit<Judge, "threshold"> {
  const isAblated = (ablation?.features.length ?? 0) > 0;
  return { info: lens.info, mode: readingMode(lens.info, wanted), lexicon: isAblated ? undefined : lens.lexicon };
}

/** Pause after the last edit before the check (debounce). */
const PAUSE_MS = 400;
/** Pause in which pairs that are read are told together. */
const PAIRS_MS = 250;

function diagnosticOf({ lines }: Snapshot, one: Disagreement): Diagnostic {
  const { start, end, word, passage } = one;
  return {
    range: { start: lines.positionAt(start), end: lines.positionAt(end) },
    severity: problemSeverity,
    source: problemSource,
    code: disagreementCode,
    message: problemMessage(one),
    data: { start, end, word: word.slice(0, MAX_WORD_UNITS), passage },
  };
}

function limitDiagnostic({ lines }: Snapshot, limit: number, more: number): Diagnostic {
  const code: ProblemCode = "reward-disagreement-limit";
  return {
    range: { start: lines.positionAt(0), end: lines.positionAt(0) },
    severity: problemSeverity,
    source: problemSource,
    code,
    message: `${more} more ${more === 1 ? "disagreement is" : "disagreements are"} not shown; lfpLens.problems.limit is ${limit}.`,
  };
}
