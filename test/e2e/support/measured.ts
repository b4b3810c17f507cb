/** Prints what a run of the tests measured; it is for people to read and for logs to be searched for. */
export function measured(what: string, ms: number): void {
  console.log(`measured: ${what} ${ms.toFixed(0)} ms`);
}
