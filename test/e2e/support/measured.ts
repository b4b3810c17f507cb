import { availableParallelism, loadavg } from "node:os";

/** Prints what a run of the tests measured; it is for people to read and for logs to be searched for. */
export function measured(what: string, ms: number): void {
  console.log(`measured: ${what} ${ms.toFixed(0)} ms`);
}

/** Whether times say anything about us: on a machine where everything waits for its turn they are only printed. */
export function machineHasRoom(): boolean {
  const [lastMinute = 0] = loadavg();
  return lastMinute <= 2 * availableParallelism();
}
