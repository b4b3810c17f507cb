/** How the server's process is started. */

/**
 * What the server's environment has besides, where it does not say otherwise. glibc's malloc keeps a heap for every thread, and lenses come and go with
 * threads of their own: with two heaps the fuzzer found 674 MiB at most, not 801.
 */
export const serverEnvironment = { MALLOC_ARENA_MAX: "2" } as const;
