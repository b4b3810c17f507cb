/** Says what happens without a person's doing: a run ends, or the lens moves to another run. */
import * as vscode from "vscode";
import { type LensState, targetOf } from "../../server/protocol/lens-state.ts";
import type { RunView } from "../../server/protocol/runs.ts";
import type { RunsModel } from "./runs-model.ts";
import { type KnownSweep, type SweepState, sweepContext, sweepDescription, sweepState } from "./sweep-text.ts";

/** How a run ended. */
export type RunEnd = "done" | "failed" | "interrupted";

/** Time in which the server moves to a run that has finished, so that one message says both. */
const MOVE_MS = 1500;

/** What the news need of the extension. */
export interface NewsParts {
  readonly lens: LensState;
  readonly onDidChangeLens: vscode.Event<LensState>;
  readonly runs: {
    readonly model: Pick<RunsModel, "known" | "sweeps"> & { readonly onDidChange: vscode.Event<unknown> };
  };
  /** Whether a person chooses a run or two checkpoints at this moment. */
  isChoosing(): boolean;
  /** Looks through a run from now on, as if a person had chosen it. */
  lookThrough(folder: string): Promise<void>;
}

/** How a run ended, if it was active before; a person who cancelled one knows. */
export function endOf(before: RunView["state"]["kind"] | undefined, { state }: RunView): RunEnd | undefined {
  const wasActive = before === "running" || before === "waiting";
  const { kind } = state;
  return wasActive && (kind === "done" || kind === "failed" || kind === "interrupted") ? kind : undefined;
}

/** Tells of runs that end, and of the lens when it moves to another run by itself. */
export class RunNews implements vscode.Disposable {
  readonly #parts: NewsParts;
  readonly #subscriptions: readonly vscode.Disposable[];
  readonly #states = new Map<string, RunView["state"]["kind"]>();
  readonly #sweepStates = new Map<string, SweepState>();
  /** Folders of runs about whose end a message is due. */
  readonly #ending = new Set<string>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #looked: string | undefined;
  /** Where the lens was before it moved to a run by itself, by that run's folder. */
  readonly #moved = new Map<string, string>();

  constructor(parts: NewsParts) {
    this.#parts = parts;
    this.#looked = folderOf(parts.lens);
    this.#subscriptions = [
      parts.runs.model.onDidChange(() => {
        this.#lookAtRuns();
        this.#lookAtSweeps();
      }),
      parts.onDidChangeLens((state) => this.#lookAtLens(state)),
    ];
  }

  dispose(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    for (const part of this.#subscriptions) part.dispose();
  }

  #lookAtRuns(): void {
    for (const run of this.#parts.runs.model.known()) {
      const end = endOf(this.#states.get(run.folder), run);
      this.#states.set(run.folder, run.state.kind);
      // A sweep is told of as a whole.
      if (end === undefined || run.sweep !== null) continue;
      this.#ending.add(run.folder);
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        this.#ending.delete(run.folder);
        void this.#tellEnd(run, end);
      }, MOVE_MS);
      this.#timers.add(timer);
    }
  }

  #lookAtSweeps(): void {
    for (const known of this.#parts.runs.model.sweeps()) {
      const before = this.#sweepStates.get(known.sweep.folder);
      const state = sweepState(known);
      this.#sweepStates.set(known.sweep.folder, state);
      // A person who cancelled it knows.
      const isCancelled = known.runs.some((run) => run.state.kind === "cancelled");
      if (before === "active" && state !== "active" && !isCancelled) void this.#tellSweepEnd(known);
    }
  }

  #lookAtLens(state: LensState): void {
    const folder = folderOf(state);
    const before = this.#looked;
    if (folder === undefined || folder === before) return;
    this.#looked = folder;
    if (before === undefined || this.#parts.isChoosing()) return;
    this.#moved.set(folder, before);
    if (!this.#ending.has(folder)) void this.#tellMove(folder, before);
  }

  async #tellEnd(run: RunView, end: RunEnd): Promise<void> {
    const { name, folder, hasReport } = run;
    const { message, why: reason } = { message: "", why: undefined, ...run.state };
    if (end !== "done") {
      const interrupted = reason === undefined ? "ended without a word" : `was interrupted: ${reason}`;
      const why = end === "failed" ? `failed: ${message}` : interrupted;
      const show = "Show Run";
      const answer = await vscode.window.showErrorMessage(`LFP Lens: the run ${name} ${why}`, show);
      if (answer === show) await vscode.commands.executeCommand("lfpLens.runs.focus");
      return;
    }
    const before = this.#moved.get(folder);
    const open = "Open Report";
    const back = before === undefined ? undefined : `Go Back to ${nameOf(before)}`;
    const moved = back === undefined ? "" : " Texts are read through it from now on.";
    const answer = await vscode.window.showInformationMessage(
      `LFP Lens: the run ${name} has finished.${moved}`,
      ...(hasReport ? [open] : []),
      ...(back === undefined ? [] : [back]),
    );
    if (answer === open) await vscode.commands.executeCommand("lfpLens.openReport", { folder });
    else if (answer !== undefined && before !== undefined) await this.#parts.lookThrough(before);
  }

  async #tellSweepEnd(known: KnownSweep): Promise<void> {
    const { folder, name } = known.sweep;
    const compare = "Compare Runs";
    const choices = /\bcomparable\b/.test(sweepContext(known)) ? [compare] : [];
    const text = `LFP Lens: the sweep ${name} has ended: ${sweepDescription(known)}.`;
    const answer = await vscode.window.showInformationMessage(text, ...choices);
    if (answer === compare) await vscode.commands.executeCommand("lfpLens.compareSweep", { sweep: folder });
  }

  async #tellMove(folder: string, before: string): Promise<void> {
    const back = `Go Back to ${nameOf(before)}`;
    const isKnown = this.#parts.runs.model.known().some((run) => run.folder === before);
    const answer = await vscode.window.showInformationMessage(
      `LFP Lens: texts are read through the run ${nameOf(folder)} from now on, which is the newest finished one${isKnown ? "" : `; ${nameOf(before)} is none of this workspace`}.`,
      back,
    );
    if (answer === back) await this.#parts.lookThrough(before);
  }
}

function folderOf(state: LensState): string | undefined {
  const target = targetOf(state);
  return target?.kind === "run" ? target.folder : undefined;
}

function nameOf(folder: string): string {
  return folder.slice(Math.max(folder.lastIndexOf("/"), folder.lastIndexOf("\\")) + 1);
}
