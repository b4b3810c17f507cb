import type { JobSpec } from "../executor.ts";
import { notePaths } from "../job-notes.ts";
import { AWAIT_PROGRAM, quote, scriptOf } from "../job-script.ts";
import { runPaths } from "../run-folder.ts";
import type { SlurmSettings } from "./settings.ts";

/**
 * The batch script of a job: runs the program, passes signals on so that the run saves, and has Slurm start the job
 * again where it saved before its time was up. Slurm sends USR1 to this shell alone some time before the time limit,
 * and TERM to all of the job's processes at its end. Bash runs a trap only while it is in `wait`, which the trap ends.
 */
export function jobScript(job: JobSpec, name: string, settings: SlurmSettings, env: NodeJS.ProcessEnv): string {
  const { env: variables, modules, restartsWithoutProgress } = settings;
  return scriptOf({ job, name, env, variables, modules, restartsWithoutProgress, prepare: PREPARE, attend: ATTEND });
}

const PREPARE = `
# --export=NONE would otherwise give the steps of srun no environment.
export SLURM_EXPORT_ENV=ALL
# The number of one task of an array may mean the whole array.
JOB=$SLURM_JOB_ID
[ -n "$SLURM_ARRAY_TASK_ID" ] && JOB=\${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
pid=
asked=
trap 'asked=1; [ -n "$pid" ] && kill -TERM "$pid" 2>/dev/null' USR1 TERM
`;

const ATTEND = `
[ -n "$asked" ] && kill -TERM "$pid" 2>/dev/null
${AWAIT_PROGRAM}
# Slurm shows what it ends as COMPLETING: what it takes back (requeue, preemption) it starts again by itself, and what
# somebody cancelled is not to be.
case $(scontrol show job -o "$JOB" 2>/dev/null) in
  "" | *JobState=RUNNING* | *Reason=TimeLimit*) ;;
  *) finish 75 ended ;;
esac
trap '' USR1 TERM
# Slurm ends this script when it takes the job back.
scontrol requeue "$JOB" && sleep 120
finish 75
`;

/** The batch script of an array: each task becomes the script of its own job, with its output in the run's folder. */
export function arrayScript(jobs: readonly JobSpec[], name: string): string {
  const tasks = jobs.map(({ runFolder }, task) => {
    const [script, output] = [notePaths(runFolder, name).script, runPaths(runFolder).output].map(quote);
    return `${task}) exec bash ${script} >> ${output} 2>&1 ;;`;
  });
  return `#!/bin/bash
# Written by lfp: a task for each of several runs. docs/cluster.md explains it.
case $SLURM_ARRAY_TASK_ID in
${tasks.join("\n")}
esac
`;
}
