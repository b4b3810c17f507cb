/** The process of a sweep that is started from the editor. Independent of VS Code. */
import type * as z from "zod";
import type { RunPlace } from "../../server/protocol/runs.ts";

export interface SweepStart {
  /** dist/lfp.js */
  readonly program: string;
  /** The sweep's file and the folder of runs in which its own is made, or the folder of a sweep that goes on. */
  readonly sweep: { readonly file: string; readonly runsRoot: string } | { readonly folder: string };
  readonly runOn: z.infer<typeof RunPlace>;
}

/** Arguments of VS Code's own Node, and what its environment needs beside. */
export function sweepProcess({ program, sweep, runOn }: SweepStart): {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
} {
  const what = "folder" in sweep ? [sweep.folder, "--resume"] : [sweep.file, "--runs", sweep.runsRoot];
  return {
    args: [program, "sweep", ...what, "--on", runOn],
    // Without them VS Code's program would open a window.
    env: { ELECTRON_RUN_AS_NODE: "1", ELECTRON_NO_ASAR: "1" },
  };
}
