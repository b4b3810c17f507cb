import { CapReachedError } from "./errors.ts";

export interface TurnOptions {
  /** Number of items worked on concurrently. */
  readonly concurrency: number;
  readonly signal?: AbortSignal;
}

/**
 * Works on the items, a few at a time. Returns true if the cap ended it; the first other error ends it too, and is
 * thrown once no item is worked on any more.
 */
export async function inTurns<T>(
  items: Iterable<T>,
  { concurrency, signal }: TurnOptions,
  work: (item: T) => Promise<void>,
): Promise<boolean> {
  const queue = items[Symbol.iterator]();
  let capped = false;
  let failure: { readonly error: unknown } | undefined;
  const worker = async (): Promise<void> => {
    while (!capped && failure === undefined) {
      const next = queue.next();
      if (next.done === true) return;
      try {
        signal?.throwIfAborted();
        await work(next.value);
      } catch (error) {
        if (error instanceof CapReachedError) capped = true;
        else failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, concurrency) }, worker));
  if (failure !== undefined) throw failure.error;
  return capped;
}
