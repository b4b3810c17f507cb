/** Commands of Slurm that answer as a test says, on the PATH of this process. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll } from "vitest";
import { useStateFolder } from "./state-folder.ts";

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

/**
 * Puts the commands on PATH for a file's tests; after each test they answer nothing again. What the program notes of its
 * jobs is in a state folder of the file's own.
 */
export function useFakeSlurm(): FakeSlurm {
  useStateFolder("fake-slurm");
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

/** `sbatch` as Slurm does it, taking its time before and after the job or array is there, and running its tasks at once. */
export const RUNNING_SBATCH = `
array=
for argument; do case $argument in --job-name=*) name=\${argument#*=} ;; --output=*) output=\${argument#*=} ;; --array=*) array=\${argument#*=0-} ;; esac; script=$argument; done
sleep 0.2
until mkdir "$FAKE/job-$((++id))" 2>/dev/null; do :; done
job=$FAKE/job-$id
if [ -z "$array" ]; then
  SLURM_JOB_ID=$id setsid bash "$script" </dev/null >>"$output" 2>&1 &
  echo $! > "$job/pid"
else
  for ((task = 0; task <= \${array%\\%*}; task++)); do touch "$job/pid_$task"; done
  setsid bash -c '
    for ((task = 0; task <= $3; task++)); do
      while [ "$(jobs -pr | wc -l)" -ge "$4" ]; do sleep 0.05; done
      SLURM_JOB_ID=9$2$task SLURM_ARRAY_JOB_ID=$2 SLURM_ARRAY_TASK_ID=$task bash "$5" &
      echo $! > "$1/pid_$task"
    done
    wait' tasks "$job" "$id" "\${array%\\%*}" "\${array#*\\%}" "$script" </dev/null >>"$output" 2>&1 &
fi
echo "$name" > "$job/name"
sleep 0.2
echo "$id"`;

/** `squeue` for it. */
export const RUNNING_SQUEUE = `
for job in "$FAKE"/job-*; do
  [ -e "$job/name" ] || continue
  for file in "$job"/pid*; do
    pid=$(cat "$file")
    if [ -z "$pid" ]; then state=PENDING; elif kill -0 "$pid" 2>/dev/null; then state=RUNNING; else state=COMPLETED; fi
    echo "\${job##*-}\${file##*/pid}|$state|None|$(cat "$job/name")|/"
  done
done`;
