/** Settings for starting the server's process. */

/**
 * Default environment variables for the server's process. glibc's malloc keeps an arena for each thread, and every lens
 * that opens and closes has threads of its own: with two arenas the fuzzer measured at most 674 MiB, otherwise 801.
 */
export const serverEnvironment = { MALLOC_ARENA_MAX: "2" } as const;
