/** The process of a sweep that is started from the editor. Independent of VS Code. */
import type * as z from "zod";
import type { RunPlace } from "../../server/protocol/runs.ts";

export interface SweepStart {
  /** dist/lfp.js */
  readonly program: string;
  /** The sweep's file. */
  readonly file: string;
  readonly runsRoot: string;
  readonly runOn: z.infer<typeof RunPlace>;
}

/** Arguments of VS Code's own Node, and what its environment needs beside. */
export function sweepProcess({ program, file, runsRoot, runOn }: SweepStart): {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
} {
  return {
    args: [program, "sweep", file, "--runs", runsRoot, "--on", runOn],
    // Without them VS Code's program would open a window.
    env: { ELECTRON_RUN_AS_NODE: "1", ELECTRON_NO_ASAR: "1" },
  };
}
