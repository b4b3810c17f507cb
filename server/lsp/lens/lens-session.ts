import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { unlessAborted } from "../../common/abort.ts";
import { LfpError } from "../../common/errors.ts";
import type { Lens } from "../../lens/lens.ts";
import type { WireFailure } from "../../protocol/failure.ts";
import type { LensState, LensTarget, ServerSettings } from "../../protocol/lens-state.ts";
import type { RunView } from "../../protocol/runs.ts";
import { failureOf, WireError } from "../failures.ts";
import type { Quarantine } from "../quarantine.ts";
import type { RunBoard } from "../runs/run-board.ts";
import type { Session } from "../session.ts";
import { infoOf, type OpenSubject, pairKey } from "./looked-through.ts";

/** There is no finished run to read through. */
export class NoLensError extends LfpError {
  readonly code = "not-found";
}

/** The chosen target could not be opened. The session does not retry until it changes or is chosen again. */
class LensFailedError extends WireError {
  readonly wireCode: WireFailure["code"];

  constructor({ code, message }: WireFailure) {
    super(message);
    this.wireCode = code;
  }
}

/** The target changed during the request; the client repeats the request for the new one. */
class LensChangedError extends WireError {
  readonly wireCode = "stale";

  constructor() {
    super("Something else is looked through now; ask again.");
  }
}

/** The open target, with a signal that is aborted when another replaces it. */
export type OpenedLens = OpenSubject & { readonly left: AbortSignal };

export interface LensSessionOptions {
  readonly session: Session;
  readonly board: RunBoard;
  readonly quarantine: Quarantine;
  readonly tell: (state: LensState) => void;
  readonly onFailure: (error: unknown) => void;
}

/**
 * The lens's target, opened on first use: a run (chosen by people, or the newest finished one), or two checkpoints or
 * two runs chosen by people.
 */
export class LensSession {
  readonly #options: LensSessionOptions;
  /** The target that people chose; null lets the session choose. */
  #wanted: LensTarget | null = null;
  #current: Current | undefined;
  #state: LensState = { kind: "none" };
  /** Number of the latest decision: one that finishes after a newer one began is discarded. */
  #decision = 0;
  /** Targets being closed; their threads must end before the process does. */
  readonly #leaving = new Set<Promise<void>>();
  #isNeeded: () => boolean = () => false;

  constructor(options: LensSessionOptions) {
    this.#options = options;
    options.session.listen(() => this.#decideAgain());
    options.board.listen((changed, gone) => {
      if (gone.length > 0 || changed.some((run) => isUsable(run) || run.folder === this.folder)) this.#decideAgain();
    });
  }

  get state(): LensState {
    return this.#state;
  }

  /** Sets the check of whether readings are wanted; if so, a target is opened as soon as it is chosen. */
  openWhen(isNeeded: () => boolean): void {
    this.#isNeeded = isNeeded;
  }

  /**
   * Chooses a run, or (null) lets the session choose. Throws what `Session.checkRun` throws, and `RestrictedModeError`.
   */
  async choose(folder: string | null): Promise<LensState> {
    const { session } = this.#options;
    const checked = folder === null ? null : await session.checkRun(folder);
    if (checked !== null && !session.isOwnRun(checked)) session.requireTrust("Looking through a run of the workspace");
    await this.#want(checked === null ? null : { kind: "run", folder: checked });
    return this.#state;
  }

  /**
   * Chooses two checkpoints by their folders, and with `isOpened` opens them at once; if that fails, restores the
   * previous target. Throws `RestrictedModeError`, what `Session.checkFolder` throws, and with `isOpened` what `open`
   * throws.
   */
  async compare(
    { tuned, base }: { readonly tuned: string; readonly base: string },
    isOpened: boolean,
    signal: AbortSignal,
  ): Promise<LensState> {
    const { session } = this.#options;
    session.requireTrust("Comparing two checkpoints");
    const pair: LensTarget = { kind: "pair", tuned: session.checkFolder(tuned), base: session.checkFolder(base) };
    return await this.#try(pair, isOpened, signal);
  }

  /**
   * Chooses two runs by their folders, to read the learned reward of `a` minus that of `b`; otherwise like `compare`.
   * Throws `RestrictedModeError`, what `Session.checkRun` throws, and with `isOpened` what `open` throws.
   */
  async compareRuns(
    { a, b }: { readonly a: string; readonly b: string },
    isOpened: boolean,
    signal: AbortSignal,
  ): Promise<LensState> {
    const { session } = this.#options;
    session.requireTrust("Comparing two runs");
    const runs: LensTarget = { kind: "difference", a: await session.checkRun(a), b: await session.checkRun(b) };
    return await this.#try(runs, isOpened, signal);
  }

  /** Chooses a target, and with `isOpened` opens it; if that fails, restores the previous one. */
  async #try(target: LensTarget, isOpened: boolean, signal: AbortSignal): Promise<LensState> {
    const before = this.#wanted;
    await this.#want(target);
    if (!isOpened) return this.#state;
    try {
      await this.open(signal);
    } catch (error) {
      // Unless someone has chosen another target meanwhile.
      if (this.#wanted === target) await this.#want(before);
      throw error;
    }
    return this.#state;
  }

  /**
   * The target, opened if needed. Rejects with the signal's reason as soon as it is aborted, while the opening
   * continues.
   */
  async open(signal: AbortSignal): Promise<OpenedLens> {
    signal.throwIfAborted();
    if (this.#current === undefined && this.#state.kind === "none") await this.#decide();
    const current = this.#current;
    if (current === undefined)
      throw new NoLensError(
        "There is no finished run to look through. Start one with LFP Lens: Run Experiment, or choose a folder of runs.",
      );
    if (current.failure !== undefined) throw new LensFailedError(current.failure);
    current.opening ??= this.#openCurrent(current);
    const subject = await unlessAborted(current.opening, AbortSignal.any([signal, current.leave.signal]));
    return { ...subject, left: current.leave.signal };
  }

  /** The target if it is open. */
  get opened(): OpenedLens | undefined {
    const current = this.#current;
    return current?.subject === undefined ? undefined : { ...current.subject, left: current.leave.signal };
  }

  /**
   * Borrows a lens on a run, independently of the target: the open lens if it is this run's, else one opened for the
   * borrower. Rejects as `openLens` does.
   */
  async borrow(folder: string, signal: AbortSignal): Promise<{ lens: Lens; done: () => Promise<void> }> {
    const opened = folder === this.folder ? await this.open(signal) : undefined;
    if (opened?.kind === "run") return { lens: opened.lens, done: async () => undefined };
    const lens = await this.guardRun(folder, async () => {
      const { openLens } = await import("../../pipeline/finished/open-lens.ts");
      return await openLens(folder, { ...this.#wish, signal });
    });
    return { lens, done: () => lens.close() };
  }

  /** Opens a run or part of it under quarantine. Throws `QuarantinedError` if that has crashed the server before. */
  async guardRun<T>(folder: string, work: () => Promise<T>): Promise<T> {
    const { board, quarantine } = this.#options;
    const view = board.known().find((run) => run.folder === folder);
    const updated = view?.updated ?? (await choiceOf(folder))?.updated ?? null;
    return await quarantine.guard(...runGuard(folder, updated), work);
  }

  /** Folder of the run, if the target is one. */
  get folder(): string | undefined {
    const target = this.#current?.target;
    return target?.kind === "run" ? target.folder : undefined;
  }

  /** Called when readings become wanted. */
  needed(): void {
    const current = this.#current;
    if (current === undefined || current.failure !== undefined || current.opening !== undefined) return;
    current.opening = this.#openCurrent(current);
    // Callers of `open` receive the failure.
    current.opening.catch(() => undefined);
  }

  async close(): Promise<void> {
    this.#leave();
    await Promise.all(this.#leaving);
  }

  async #want(target: LensTarget | null): Promise<void> {
    this.#wanted = target;
    this.#leave();
    await this.#decide();
  }

  #decideAgain(): void {
    this.#decide().catch(this.#options.onFailure);
  }

  async #decide(): Promise<void> {
    const decision = ++this.#decision;
    const choice = await this.#choice();
    if (decision !== this.#decision) return;
    if (this.#isCurrent(choice)) return;
    this.#leave();
    if (choice === undefined) return this.#become({ kind: "none" });
    this.#current = { ...choice, ...this.#wish, leave: new AbortController() };
    this.#become({ kind: "chosen", target: choice.target });
    if (this.#isNeeded()) this.needed();
  }

  #isCurrent(choice: Choice | undefined): boolean {
    const current = this.#current;
    if (choice === undefined || current === undefined) return choice === current && this.#state.kind === "none";
    const { device, threads } = this.#wish;
    if (
      nameOfTarget(current.target) !== nameOfTarget(choice.target) ||
      current.device !== device ||
      current.threads !== threads
    )
      return false;
    // A time that was unknown at the choice is not a change.
    current.updated ??= choice.updated;
    return choice.updated === null || current.updated === choice.updated;
  }

  /** Device and threads from the settings. */
  get #wish(): Pick<ServerSettings, "device" | "threads"> {
    const { device, threads } = this.#options.session.settings;
    return { device, threads };
  }

  /**
   * Decides on a target: in Restricted Mode only the bundled run; otherwise the chosen target, else the newest finished
   * run, else the bundled one.
   */
  async #choice(): Promise<Choice | undefined> {
    const { session, board } = this.#options;
    const own = await choiceOf(session.starterRun);
    await board.settled();
    if (!session.options.trusted) return own;
    if (this.#wanted !== null) {
      const wanted = this.#wanted;
      if (wanted.kind === "pair") return { target: wanted, updated: await lastChange([wanted.tuned, wanted.base]) };
      if (wanted.kind === "difference")
        return { target: wanted, updated: await lastChange([wanted.a, wanted.b].map((run) => join(run, "tuned"))) };
      if (session.isOwnRun(wanted.folder)) return own;
      const view = board.known().find(({ folder }) => folder === wanted.folder);
      return { target: wanted, updated: view !== undefined && isUsable(view) ? view.updated : null };
    }
    const [newest] = board
      .known()
      // A sweep's runs end one after another; texts are read through one of them when somebody chooses it.
      .filter((run) => run.sweep === null && isUsable(run))
      .toSorted((a, b) => ((a.updated ?? "") < (b.updated ?? "") ? 1 : -1));
    return newest === undefined ? own : { target: { kind: "run", folder: newest.folder }, updated: newest.updated };
  }

  async #openCurrent(current: Current): Promise<OpenSubject> {
    const { target } = current;
    this.#become({ kind: "opening", target });
    try {
      const subject = await this.#openGuarded(current);
      if (this.#current !== current) {
        await subject.lens.close();
        throw new LensChangedError();
      }
      current.subject = subject;
      this.#become({ kind: "ready", info: infoOf(subject) });
      return subject;
    } catch (error) {
      if (this.#current === current) {
        current.failure = failureOf(error);
        if (current.failure.code === "internal") this.#options.onFailure(error);
        this.#become({ kind: "failed", target, failure: current.failure });
      }
      throw error;
    }
  }

  #openGuarded(current: Current): Promise<OpenSubject> {
    const { quarantine } = this.#options;
    const { target, updated, device, threads, leave } = current;
    const onFallback = (): void => {
      if (this.#current === current && current.subject !== undefined)
        this.#become({ kind: "ready", info: infoOf(current.subject) });
    };
    const options = { device, threads, signal: leave.signal, onFallback };
    if (target.kind === "run")
      return quarantine.guard(...runGuard(target.folder, updated), async () => {
        const { openLens } = await import("../../pipeline/finished/open-lens.ts");
        return { kind: "run", lens: await openLens(target.folder, options) };
      });
    if (target.kind === "difference")
      return quarantine.guard(
        `The runs ${target.a} and ${target.b}`,
        ["difference", nameOfTarget(target), updated ?? ""],
        async () => {
          const { openDifference } = await import("../../pipeline/finished/open-difference.ts");
          return { kind: "pair", lens: await openDifference(target, options) };
        },
      );
    const what = `The pair of ${target.tuned} and ${target.base}`;
    return quarantine.guard(what, ["pair", pairKey(target), updated ?? ""], async () => {
      const { openPairLens } = await import("../../pipeline/finished/open-pair.ts");
      return { kind: "pair", lens: await openPairLens(target, options) };
    });
  }

  #leave(): void {
    const current = this.#current;
    this.#current = undefined;
    current?.leave.abort(new LensChangedError());
    const left = current?.opening?.then(
      ({ lens }) => lens.close().catch(this.#options.onFailure),
      // A failed opening closed what it had opened and rejected its callers.
      () => undefined,
    );
    if (left === undefined) return;
    this.#leaving.add(left);
    void left.then(() => this.#leaving.delete(left));
  }

  #become(state: LensState): void {
    this.#state = state;
    this.#options.tell(state);
  }
}

interface Choice {
  readonly target: LensTarget;
  /** Time of the last change; another value means changed content; null: unknown. */
  updated: string | null;
}

interface Current extends Choice, Pick<ServerSettings, "device" | "threads"> {
  readonly leave: AbortController;
  opening?: Promise<OpenSubject>;
  subject?: OpenSubject;
  failure?: WireFailure;
}

/** A run's name for people and its permanent identity, for the quarantine. */
function runGuard(folder: string, updated: string | null): [string, string[]] {
  return [`The run ${folder}`, ["run", folder, updated ?? ""]];
}

/** A target's key: targets with the same key are the same. */
function nameOfTarget(target: LensTarget): string {
  if (target.kind === "run") return target.folder;
  return target.kind === "pair" ? pairKey(target) : `difference\0${target.a}\0${target.b}`;
}

function isUsable({ state, hasProbe }: RunView): boolean {
  return hasProbe && state.kind === "done";
}

async function choiceOf(folder: string): Promise<Choice | undefined> {
  const found = await stat(join(folder, "probe", "probe.json")).catch(() => undefined);
  return found && { target: { kind: "run", folder }, updated: found.mtime.toISOString() };
}

/** Time of the latest change of any file in the folders; null if there is none. */
async function lastChange(folders: readonly string[]): Promise<string | null> {
  let lastMs = 0;
  for (const folder of folders)
    for (const name of await readdir(folder).catch(() => []))
      lastMs = Math.max(lastMs, (await stat(join(folder, name)).catch(() => undefined))?.mtimeMs ?? 0);
  return lastMs === 0 ? null : new Date(lastMs).toISOString();
}
