/** Commands of Slurm that answer as a test says, on the PATH of this process. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll } from "vitest";

export type SlurmProgram = "sbatch" | "squeue" | "sacct" | "scancel" | "scontrol" | "sinfo";
const programs: readonly SlurmProgram[] = ["sbatch", "squeue", "sacct", "scancel", "scontrol", "sinfo"];

export interface FakeSlurm {
  /** The folder in which the commands stand; scripts find it as `$FAKE`. */
  readonly folder: () => string;
  /** What a command does: the body of a shell script. Without one it prints nothing and succeeds. */
  readonly answer: (program: SlurmProgram, script: string) => Promise<void>;
  /** The arguments of each call of a command, a line a call. */
  readonly calls: (program: SlurmProgram) => Promise<string[]>;
  /** Takes a command away. */
  readonly remove: (program: SlurmProgram) => Promise<void>;
}

/** Puts the commands on PATH for a file's tests; after each test they answer nothing again. */
export function useFakeSlurm(): FakeSlurm {
  let folder = "";
  const before = process.env["PATH"];
  const answer = (program: SlurmProgram, script: string) =>
    writeFile(
      join(folder, program),
      `#!/bin/bash\nFAKE=${folder}\necho "$*" >> "$FAKE/${program}.calls"\n${script}\n`,
      { mode: 0o755 },
    );
  const reset = async () => {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder);
    for (const program of programs) await answer(program, "");
  };
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "lfp-fake-slurm-"));
    // Only what scripts need beside: a real Slurm of the machine is not to be found.
    process.env["PATH"] = `${folder}:${before}`;
    await reset();
  });
  afterEach(reset);
  afterAll(async () => {
    process.env["PATH"] = before;
    await rm(folder, { recursive: true, force: true });
  });
  return {
    folder: () => folder,
    answer,
    calls: async (program) => {
      const text = await readFile(join(folder, `${program}.calls`), "utf8").catch(() => "");
      return text.split("\n").slice(0, -1);
    },
    remove: async (program) => {
      await rm(join(folder, program));
    },
  };
}
