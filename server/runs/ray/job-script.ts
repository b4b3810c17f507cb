import type { JobSpec } from "../executor.ts";
import { AWAIT_PROGRAM, quote, scriptOf } from "../job-script.ts";
import { runPaths } from "../run-folder.ts";
import type { RaySettings } from "./settings.ts";

/**
 * The script of a job: runs the program with its output in the run folder, since Ray keeps logs on the disk of one
 * node. Ray sends TERM to this shell and to all processes below it, so the script passes no signal on: a second one
 * would end the program before its checkpoint.
 */
export function rayJobScript(job: JobSpec, name: string, settings: RaySettings, env: NodeJS.ProcessEnv): string {
  const { env: variables, restartsWithoutProgress } = settings;
  const prepare = `${PREPARE}\nexec >> ${quote(runPaths(job.runFolder).output)} 2>&1\n`;
  return scriptOf({ job, name, env, variables, modules: [], restartsWithoutProgress, prepare, attend: ATTEND });
}

const PREPARE = `
pid=
asked=
trap 'asked=1' USR1 TERM
`;

const ATTEND = `
# Ray's signal came before there was a program to hear it.
[ -n "$asked" ] && kill -TERM "$pid" 2>/dev/null
${AWAIT_PROGRAM}
finish 75
`;
