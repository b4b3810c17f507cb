import { createContext, Script } from "node:vm";

/** The work was stopped because it took too long. */
export class TimeLimitError extends Error {}

/**
 * Runs synchronous code for at most `timeoutMs`, then stops it wherever it is and throws `TimeLimitError`; no `catch`
 * in the code can prevent that. Throws what the code throws. Not to be nested.
 */
export function withTimeLimit<T>(timeoutMs: number, work: () => T): T {
  let outcome: { readonly value: T } | { readonly error: unknown } | undefined;
  slot.run = (): void => {
    try {
      outcome = { value: work() };
    } catch (error) {
      outcome = { error };
    }
  };
  try {
    callSlot.runInContext(context, { timeout: timeoutMs });
  } catch (cause) {
    throw new TimeLimitError(`stopped after ${timeoutMs} ms`, { cause });
  }
  return given(outcome);
}

function given<T>(outcome: { readonly value: T } | { readonly error: unknown } | undefined): T {
  if (outcome === undefined) throw new TimeLimitError("stopped before it began");
  if ("error" in outcome) throw outcome.error;
  return outcome.value;
}

/** Node limits the time of scripts only, including that of the functions that they call. */
const slot: { run: () => void } = { run: () => {} };
const context = createContext(slot);
const callSlot = new Script("run()");
