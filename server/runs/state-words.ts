/** The states of runs in words. */
import type { RunState } from "../protocol/run-events.ts";

/** A run's state as its record says it, or as it is seen from outside. `why`: a sentence without a full stop. */
export type AnyState =
  | RunState
  | { readonly kind: "interrupted"; readonly why?: string | undefined }
  | { readonly kind: "new" };

/** A state in a phrase. */
export function describeState<K extends AnyState["kind"]>(state: AnyState & { readonly kind: K }): string {
  const describe: (one: StateOf<K>) => string = statePhrases[state.kind];
  // A state of kind K is the member of that kind; the compiler cannot see that through the type parameter.
  return describe(state as unknown as StateOf<K>);
}

type StateOf<K extends AnyState["kind"]> = Extract<AnyState, { kind: K }>;

const statePhrases: { readonly [K in AnyState["kind"]]: (state: StateOf<K>) => string } = {
  waiting: (state) => `waiting for ${state.for}`,
  running: ({ stage }) => `running stage ${stage}`,
  done: () => "done",
  failed: ({ stage, message, resumable }) =>
    `failed${stage === undefined ? "" : ` in stage ${stage}`}: ${withStop(message)}${resumable ? " The same command goes on from the last checkpoint." : ""}`,
  cancelled: () => "cancelled; the same command goes on from the last checkpoint",
  interrupted: ({ why = "its process is gone" }) =>
    `interrupted: ${why}; running it again goes on from the last checkpoint`,
  new: () => "never started",
};

/** Adds a full stop to a message without one. */
function withStop(message: string): string {
  return /[.!?:]$/.test(message) ? message : `${message}.`;
}
