/** The open target of a lens session: a run, or two checkpoints. */
import { LfpError } from "../../common/errors.ts";
import type { DifferenceLens } from "../../lens/difference-lens.ts";
import type { Lens } from "../../lens/lens.ts";
import type { PairLens } from "../../lens/pair-lens.ts";
import type { AblationSet } from "../../protocol/ablation.ts";
import type { LensMode } from "../../protocol/lens.ts";
import type { LensInfo } from "../../protocol/lens-state.ts";
import { whyNotOffered } from "../../protocol/power.ts";

export interface OpenRun {
  readonly kind: "run";
  readonly lens: Lens;
}

export interface OpenPair {
  readonly kind: "pair";
  readonly lens: PairLens | DifferenceLens;
}

export type OpenSubject = OpenRun | OpenPair;

/** A request needs what the target does not offer. */
export class NotOfferedError extends LfpError {
  readonly code = "not-found";
}

export function infoOf(subject: OpenSubject): LensInfo {
  return subject.lens.info;
}

/** Identifies the target permanently; see `Quarantine.guard`. */
export function nameOf(subject: OpenSubject): string {
  return subject.kind === "run" ? subject.lens.info.runFolder : pairKey(subject.lens.info);
}

export function pairKey({ tuned, base }: { readonly tuned: string; readonly base: string }): string {
  return `${tuned}\0${base}`;
}

/** Throws `NotOfferedError` for a mode that the target does not offer, and for an ablation if it has no features. */
export function requireOffered(subject: OpenSubject, { kind }: LensMode, ablation: AblationSet | null): void {
  const reason = whyNotOffered(kind, infoOf(subject));
  if (reason !== undefined) throw new NotOfferedError(`The mode ${kind} cannot be shown here: ${reason}.`);
  if (subject.kind === "pair" && ablation !== null && ablation.features.length > 0)
    throw new NotOfferedError("An ablation set names features of a run, and two checkpoints have none.");
}

/** Throws `NotOfferedError` unless the target is a run. `what` begins the sentence. */
export function requireRun<S extends OpenSubject>(
  subject: S,
  what: string,
): asserts subject is Extract<S, { readonly kind: "run" }> {
  if (subject.kind !== "run")
    throw new NotOfferedError(
      `${what} needs a run, and two checkpoints are compared now: choose a run to look through.`,
    );
}
