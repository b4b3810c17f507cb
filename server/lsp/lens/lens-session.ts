import { stat } from "node:fs/promises";
import { join } from "node:path";
import { LfpError } from "../../common/errors.ts";
import type { Lens } from "../../lens/lens.ts";
import type { WireFailure } from "../../protocol/failure.ts";
import type { LensState, LensTarget, ServerSettings } from "../../protocol/lens-state.ts";
import type { RunView } from "../../protocol/runs.ts";
import { failureOf, WireError } from "../failures.ts";
import type { Quarantine } from "../quarantine.ts";
import type { RunBoard } from "../runs/run-board.ts";
import type { Session } from "../session.ts";

/** There is no finished run to look through. */
export class NoLensError extends LfpError {
  readonly code = "not-found";
}

/** The chosen run could not be opened; it is not tried again before it changes or is chosen again. */
class LensFailedError extends WireError {
  readonly wireCode: WireFailure["code"];

  constructor({ code, message }: WireFailure) {
    super(message);
    this.wireCode = code;
  }
}

/** Another run is looked through now; what was asked of the one before is asked again. */
class LensChangedError extends WireError {
  readonly wireCode = "stale";

  constructor() {
    super("Another run is looked through now; ask again.");
  }
}

/** A lens with the signal that is aborted when it is no longer the one. */
export interface OpenedLens {
  readonly lens: Lens;
  readonly left: AbortSignal;
}

export interface LensSessionOptions {
  readonly session: Session;
  readonly board: RunBoard;
  readonly quarantine: Quarantine;
  readonly tell: (state: LensState) => void;
  readonly onFailure: (error: unknown) => void;
}

/** Which run is looked through: chosen by people or the newest finished one, opened when it is first needed. */
export class LensSession {
  readonly #options: LensSessionOptions;
  /** What people chose; null leaves the choice to us. */
  #wanted: string | null = null;
  #current: Current | undefined;
  #state: LensState = { kind: "none" };
  /** How often the choice was thought over; a slower thought must not undo a later one. */
  #thoughts = 0;
  /** What is being closed: its threads must have ended before the process does. */
  readonly #leaving = new Set<Promise<void>>();
  #isNeeded: () => boolean = () => false;

  constructor(options: LensSessionOptions) {
    this.#options = options;
    options.session.listen(() => this.#rethink());
    options.board.listen((changed, gone) => {
      if (gone.length > 0 || changed.some((run) => isUsable(run) || run.folder === this.#current?.folder))
        this.#rethink();
    });
  }

  get state(): LensState {
    return this.#state;
  }

  /** Says whether someone waits for readings; then a run is opened as soon as it is chosen. */
  openWhen(isNeeded: () => boolean): void {
    this.#isNeeded = isNeeded;
  }

  /** Chooses a run, or (null) leaves the choice to us. Throws what `Session.checkRun` throws, and `RestrictedModeError`. */
  async choose(folder: string | null): Promise<LensState> {
    const { session } = this.#options;
    const checked = folder === null ? null : await session.checkRun(folder);
    if (checked !== null && !session.isOwnRun(checked)) session.requireTrust("Looking through a run of the workspace");
    this.#wanted = checked;
    this.#leave();
    await this.#decide();
    return this.#state;
  }

  /** The lens, opened if need be. Rejects with the signal's reason as soon as it is aborted, while the opening goes on. */
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
    const lens = await unlessAborted(current.opening, AbortSignal.any([signal, current.leave.signal]));
    return { lens, left: current.leave.signal };
  }

  /** The lens if it is open. */
  get opened(): OpenedLens | undefined {
    const lens = this.#current?.lens;
    return lens === undefined || this.#current === undefined ? undefined : { lens, left: this.#current.leave.signal };
  }

  /**
   * A lens on a run, whichever is looked through: the open one where it is the run's, else one that is opened for as long as the borrower
   * needs it. Rejects as `openLens` does.
   */
  async borrow(folder: string, signal: AbortSignal): Promise<{ lens: Lens; done: () => Promise<void> }> {
    if (folder === this.#current?.folder) return { lens: (await this.open(signal)).lens, done: async () => undefined };
    const { openLens } = await import("../../pipeline/open-lens.ts");
    const lens = await openLens(folder, { ...this.#wish, signal });
    return { lens, done: () => lens.close() };
  }

  /** The run that is looked through. */
  get folder(): string | undefined {
    return this.#current?.folder;
  }

  /** Someone began to wait for readings. */
  needed(): void {
    const current = this.#current;
    if (current === undefined || current.failure !== undefined || current.opening !== undefined) return;
    current.opening = this.#openCurrent(current);
    // Whoever asks is told of the failure.
    current.opening.catch(() => undefined);
  }

  async close(): Promise<void> {
    this.#leave();
    await Promise.all(this.#leaving);
  }

  #rethink(): void {
    this.#decide().catch(this.#options.onFailure);
  }

  async #decide(): Promise<void> {
    const thought = ++this.#thoughts;
    const choice = await this.#choice();
    if (thought !== this.#thoughts) return;
    if (this.#isCurrent(choice)) return;
    this.#leave();
    if (choice === undefined) return this.#become({ kind: "none" });
    this.#current = { ...choice, ...this.#wish, leave: new AbortController() };
    this.#become({ kind: "chosen", target: targetOf(choice) });
    if (this.#isNeeded()) this.needed();
  }

  #isCurrent(choice: Choice | undefined): boolean {
    const current = this.#current;
    if (choice === undefined || current === undefined) return choice === current && this.#state.kind === "none";
    const { device, threads } = this.#wish;
    if (current.folder !== choice.folder || current.device !== device || current.threads !== threads) return false;
    // What was not known when it was chosen is no change.
    current.updated ??= choice.updated;
    return choice.updated === null || current.updated === choice.updated;
  }

  /** What computes, as the settings have it. */
  get #wish(): Pick<ServerSettings, "device" | "threads"> {
    const { device, threads } = this.#options.session.settings;
    return { device, threads };
  }

  /** In Restricted Mode only the program's own run; otherwise what was chosen, else the newest finished run, else the program's own. */
  async #choice(): Promise<Choice | undefined> {
    const { session, board } = this.#options;
    const own = await choiceOf(session.starterRun);
    await board.settled();
    if (!session.options.trusted) return own;
    if (this.#wanted !== null) {
      const wanted = this.#wanted;
      if (session.isOwnRun(wanted)) return own;
      const view = board.known().find(({ folder }) => folder === wanted);
      return { folder: wanted, updated: view !== undefined && isUsable(view) ? view.updated : null };
    }
    const [newest] = board
      .known()
      .filter(isUsable)
      .toSorted((a, b) => ((a.updated ?? "") < (b.updated ?? "") ? 1 : -1));
    return newest === undefined ? own : { folder: newest.folder, updated: newest.updated };
  }

  async #openCurrent(current: Current): Promise<Lens> {
    const { quarantine } = this.#options;
    const { folder, updated, device, threads } = current;
    this.#become({ kind: "opening", target: targetOf(current) });
    try {
      const lens = await quarantine.guard(`The run ${folder}`, ["run", folder, updated ?? ""], async () => {
        const { openLens } = await import("../../pipeline/open-lens.ts");
        return openLens(folder, {
          device,
          threads,
          signal: current.leave.signal,
          onFallback: (info) => {
            if (this.#current === current && current.lens !== undefined) this.#become({ kind: "ready", info });
          },
        });
      });
      if (this.#current !== current) {
        await lens.close();
        throw new LensChangedError();
      }
      current.lens = lens;
      this.#become({ kind: "ready", info: lens.info });
      return lens;
    } catch (error) {
      if (this.#current === current) {
        current.failure = failureOf(error);
        if (current.failure.code === "internal") this.#options.onFailure(error);
        this.#become({ kind: "failed", target: targetOf(current), failure: current.failure });
      }
      throw error;
    }
  }

  #leave(): void {
    const current = this.#current;
    this.#current = undefined;
    current?.leave.abort(new LensChangedError());
    const left = current?.opening?.then(
      (lens) => lens.close().catch(this.#options.onFailure),
      // It closed what it had opened, and told whoever waited.
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
  readonly folder: string;
  /** Another value is another content; null: not known. */
  updated: string | null;
}

interface Current extends Choice, Pick<ServerSettings, "device" | "threads"> {
  readonly leave: AbortController;
  opening?: Promise<Lens>;
  lens?: Lens;
  failure?: WireFailure;
}

function targetOf({ folder }: Choice): LensTarget {
  return { kind: "run", folder };
}

function isUsable({ state, hasProbe }: RunView): boolean {
  return hasProbe && state.kind === "done";
}

async function choiceOf(folder: string): Promise<Choice | undefined> {
  const found = await stat(join(folder, "probe", "probe.json")).catch(() => undefined);
  return found === undefined ? undefined : { folder, updated: found.mtime.toISOString() };
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
