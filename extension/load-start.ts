/** Time at which the extension's code began to run; imported before everything else. */
export const loadStartMs = performance.now();
