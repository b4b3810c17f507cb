/** Imported before all else: when the extension's code began to be run. */
export const loadStartMs = performance.now();
