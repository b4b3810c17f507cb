/** Sizes that the CPU device's memory sets, in bytes. */

/** Most that the device's own memory holds: what 32-bit addresses reach. */
export const mostHeapBytes = 2 ** 32;

/** Size of a model, in F32, from which its weights are held outside that memory: training all of them takes five times as much. */
export const fixedFromBytes = 2 ** 30;
