import { JOB_VARIABLE, type JobSpec } from "../executor.ts";
import { runPaths } from "../run-folder.ts";
import { notePaths, RUN_NOTES } from "./notes.ts";
import type { SlurmSettings } from "./settings.ts";

/**
 * The batch script of a job: runs the program, passes signals on so that the run saves, and has Slurm start the job
 * again where it saved before its time was up. Slurm sends USR1 to this shell alone some time before the time limit,
 * and TERM to all of the job's processes at its end. Bash runs a trap only while it is in `wait`, which the trap ends.
 */
export function jobScript(job: JobSpec, name: string, settings: SlurmSettings, env: NodeJS.ProcessEnv): string {
  const { runFolder, cwd = runFolder, argv } = job;
  const { stop, exit } = notePaths(runFolder, name);
  const variables = { ...carriedVariables(env), ...settings.env, ...job.env, [JOB_VARIABLE]: name };
  return `#!/bin/bash
# Written by lfp: runs, or goes on with, the run in the folder below. docs/cluster.md explains it.
RUN=${quote(runFolder)}
JOBS=${quote(runPaths(runFolder).jobs)}
STOP=${quote(stop)}
EXIT=${quote(exit)}
${PREPARE}
${settings.modules.length === 0 ? "" : `source /etc/profile\nmodule load ${settings.modules.map(quote).join(" ")} || finish 6 modules`}
${Object.entries(variables)
  .map(([variable, value]) => `export ${variable}=${quote(value)}`)
  .join("\n")}
cd ${quote(cwd)} || finish 6 folder
stall_limit=${settings.restartsWithoutProgress}
${COUNT_STARTS}
${argv.map(quote).join(" ")} & pid=$!
${ATTEND}
`;
}

const PREPARE = `
# --export=NONE would otherwise give the steps of srun no environment.
export SLURM_EXPORT_ENV=ALL
rm -f "$EXIT"
finish() { echo "$1 $2" > "$EXIT.tmp" && mv "$EXIT.tmp" "$EXIT"; exit "$1"; }
[ -e "$STOP" ] && finish 0 stopped
pid=
asked=
trap 'asked=1; [ -n "$pid" ] && kill -TERM "$pid" 2>/dev/null' USR1 TERM
`;

/** Ends a job that has been started several times without a stage or checkpoint more than before. */
const COUNT_STARTS = `
mark=$(ls "$RUN/stages" "$RUN"/stages/*.work/checkpoints "$RUN"/../shared_stages/*.work/checkpoints 2>/dev/null | cksum)
stalled=0
[ "$mark" = "$(cat "$JOBS/${RUN_NOTES.mark}" 2>/dev/null)" ] && stalled=$(($(cat "$JOBS/${RUN_NOTES.stalled}" 2>/dev/null) + 1))
echo "$mark" > "$JOBS/${RUN_NOTES.mark}"
echo "$stalled" > "$JOBS/${RUN_NOTES.stalled}"
[ "$stalled" -gt "$stall_limit" ] && finish 75 stalled
`;

const ATTEND = `
[ -n "$asked" ] && kill -TERM "$pid" 2>/dev/null
while :; do wait "$pid"; kill -0 "$pid" 2>/dev/null || break; done
wait "$pid"
rc=$?
# It was asked to stop before it listened to signals, or while it saw to something else.
if [ -n "$asked" ]; then case $rc in 130 | 143) rc=75 ;; esac; fi
[ "$rc" -ne 75 ] && finish "$rc"
[ -e "$STOP" ] && finish 75 stopped
case $(scontrol show job -o "$SLURM_JOB_ID" 2>/dev/null) in *JobState=CANCELLED*) finish 75 stopped ;; esac
trap '' USR1 TERM
# Slurm ends this script when it takes the job back.
scontrol requeue "$SLURM_JOB_ID" && sleep 120
finish 75
`;

/** Where models are, and settings of lfp: nothing secret, since the script can be read. */
function carriedVariables(env: NodeJS.ProcessEnv): Record<string, string> {
  const names = ["PATH", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_ENDPOINT", "XDG_CACHE_HOME", "LFP_STATE_DIR"];
  return Object.fromEntries(names.flatMap((name) => (env[name] ? [[name, env[name]]] : [])));
}

/** A word of a POSIX shell's command. */
function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
