/** Several pieces of asynchronous work at once. */

/** Runs what it is given while it runs nothing else, in the order of the calls. */
export type InTurn = <T>(act: () => Promise<T>) => Promise<T>;

/** What one act rejects with goes to its own caller alone; the next runs all the same. */
export function oneByOne(): InTurn {
  let last: Promise<unknown> = Promise.resolve();
  return (act) => {
    const own = last.then(act);
    last = own.catch(() => undefined);
    return own;
  };
}

/**
 * Runs all works at once. Waits for all of them to end, also after a failure, and then throws the first. `inTurn` lets one
 * work act at a time; after another's failure it does not act but throws that, so that a work ends soon.
 */
export async function sideBySide<T>(works: readonly ((inTurn: InTurn) => Promise<T>)[]): Promise<T[]> {
  let failure: { readonly error: unknown } | undefined;
  const alone = oneByOne();
  const inTurn: InTurn = (act) =>
    alone(async () => {
      if (failure !== undefined) throw failure.error;
      return act();
    });
  const running = works.map(async (work) => {
    try {
      return await work(inTurn);
    } catch (error) {
      failure ??= { error };
      throw error;
    }
  });
  await Promise.allSettled(running);
  if (failure !== undefined) throw failure.error;
  return await Promise.all(running);
}
