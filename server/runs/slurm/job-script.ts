import type { JobSpec } from "../executor.ts";
import { AWAIT_PROGRAM, scriptOf } from "../job-script.ts";
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
pid=
asked=
trap 'asked=1; [ -n "$pid" ] && kill -TERM "$pid" 2>/dev/null' USR1 TERM
`;

const ATTEND = `
[ -n "$asked" ] && kill -TERM "$pid" 2>/dev/null
${AWAIT_PROGRAM}
# Slurm shows what it ends as COMPLETING: what it takes back (requeue, preemption) it starts again by itself, and what
# somebody cancelled is not to be.
case $(scontrol show job -o "$SLURM_JOB_ID" 2>/dev/null) in
  "" | *JobState=RUNNING* | *Reason=TimeLimit*) ;;
  *) finish 75 ended ;;
esac
trap '' USR1 TERM
# Slurm ends this script when it takes the job back.
scontrol requeue "$SLURM_JOB_ID" && sleep 120
finish 75
`;
