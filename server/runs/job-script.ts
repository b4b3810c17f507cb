/** What the scripts of all clusters' jobs have in common. */
import { JOB_VARIABLE, type JobSpec } from "./executor.ts";
import { notePaths, RUN_NOTES } from "./job-notes.ts";
import { runPaths } from "./run-folder.ts";

/** The parts of a job's script. */
export interface ScriptParts {
  readonly job: JobSpec;
  /** The job's name. */
  readonly name: string;
  /** Environment of the submitter, from which the script takes what says where models are. */
  readonly env: NodeJS.ProcessEnv;
  /** More variables of the job. */
  readonly variables: Readonly<Record<string, string>>;
  /** Environment modules that are loaded first. */
  readonly modules: readonly string[];
  /** How often the job may begin without more than there was the last time. */
  readonly restartsWithoutProgress: number;
  /** Bash before anything else. `$RUN`, `$JOBS`, `$STOP`, `$EXIT` and `finish CODE WORD` are there. */
  readonly prepare: string;
  /** Bash after the program was started, as `$pid`. */
  readonly attend: string;
}

/** A job's script in bash: prepares, counts starts without progress, runs the program and attends to it. */
export function scriptOf(parts: ScriptParts): string {
  const { job, name, env, variables, modules, restartsWithoutProgress, prepare, attend } = parts;
  const { runFolder, cwd = runFolder, argv } = job;
  const { stop, exit } = notePaths(runFolder, name);
  const exported = { ...carriedVariables(env), ...variables, ...job.env, [JOB_VARIABLE]: name };
  return `#!/bin/bash
# Written by lfp: runs, or goes on with, the run in the folder below. docs/cluster.md explains it.
RUN=${quote(runFolder)}
JOBS=${quote(runPaths(runFolder).jobs)}
STOP=${quote(stop)}
EXIT=${quote(exit)}
rm -f "$EXIT"
finish() { echo "$1 $2" > "$EXIT.tmp" && mv "$EXIT.tmp" "$EXIT"; exit "$1"; }
${prepare}
[ -e "$STOP" ] && finish 0 stopped
${modules.length === 0 ? "" : `source /etc/profile\nmodule load ${modules.map(quote).join(" ")} || finish 6 modules`}
${Object.entries(exported)
  .map(([variable, value]) => `export ${variable}=${quote(value)}`)
  .join("\n")}
cd ${quote(cwd)} || finish 6 folder
stall_limit=${restartsWithoutProgress}
${COUNT_STARTS}
${argv.map(quote).join(" ")} & pid=$!
${attend}
`;
}

/** Ends a job that has been started several times without a stage or checkpoint more than before. */
const COUNT_STARTS = `
mark=$(ls "$RUN/stages" "$RUN"/stages/*.work/checkpoints "$RUN"/../{shared_stages,stages}/*.work/checkpoints 2>/dev/null | cksum)
stalled=0
[ "$mark" = "$(cat "$JOBS/${RUN_NOTES.mark}" 2>/dev/null)" ] && stalled=$(($(cat "$JOBS/${RUN_NOTES.stalled}" 2>/dev/null) + 1))
echo "$mark" > "$JOBS/${RUN_NOTES.mark}"
echo "$stalled" > "$JOBS/${RUN_NOTES.stalled}"
[ "$stalled" -gt "$stall_limit" ] && finish 75 stalled
`;

/** Bash that waits for the program to its end, also where a trap interrupts the wait, and leaves its status in `$rc`. */
export const AWAIT_PROGRAM = `
while :; do wait "$pid"; kill -0 "$pid" 2>/dev/null || break; done
wait "$pid"
rc=$?
# It was asked to stop before it listened to signals, or while it saw to something else.
if [ -n "$asked" ] || [ -e "$STOP" ]; then case $rc in 130 | 143) rc=75 ;; esac; fi
[ "$rc" -ne 75 ] && finish "$rc"
[ -e "$STOP" ] && finish 75 stopped
`;

/**
 * Where models are, settings of lfp, and what makes the program of an editor that submits a Node: nothing secret, since
 * the script can be read.
 */
function carriedVariables(env: NodeJS.ProcessEnv): Record<string, string> {
  const names = [
    ...["PATH", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_ENDPOINT", "XDG_CACHE_HOME", "LFP_STATE_DIR"],
    ...["ELECTRON_RUN_AS_NODE", "ELECTRON_NO_ASAR"],
  ];
  return Object.fromEntries(names.flatMap((name) => (env[name] ? [[name, env[name]]] : [])));
}

/** A word of a POSIX shell's command. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
