import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { main } from "../../server/cli/main.ts";

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `lfp` in this process, in an environment that is empty unless one is given. */
export async function runLfp(
  args: readonly string[],
  { signal = new AbortController().signal, env = {}, commands }: Partial<Parameters<typeof main>[1]> = {},
): Promise<Ran> {
  let [stdout, stderr] = ["", ""];
  const code = await main(args, {
    signal,
    env,
    stdout: (text) => {
      stdout += text;
    },
    stderr: (text) => {
      stderr += text;
    },
    ...(commands === undefined ? {} : { commands }),
  });
  return { code, stdout, stderr };
}

/** Runs `lfp` with a Hugging Face cache of its own in a folder. */
export const runLfpIn = (
  folder: string,
  args: readonly string[],
  more: Parameters<typeof runLfp>[1] = {},
): Promise<Ran> => runLfp(args, { ...more, env: { HF_HOME: join(folder, "hf"), ...more.env } });

const PROGRAM = fileURLToPath(new URL("../../server/cli.ts", import.meta.url));

/** Runs `lfp` in a folder as a process of its own, whose runs are too, with more in its environment; an abort asks it to stop. */
export function spawnLfp(
  cwd: string,
  args: readonly string[],
  { signal, env = {} }: { readonly signal?: AbortSignal; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Ran> {
  return new Promise((resolve) => {
    const options = { cwd, env: { ...process.env, ...env }, maxBuffer: 2 ** 26 };
    const child = execFile(process.execPath, [PROGRAM, ...args], options, (_, stdout, stderr) => {
      resolve({ code: child.exitCode ?? -1, stdout, stderr });
    });
    signal?.addEventListener("abort", () => child.kill("SIGTERM"));
  });
}

export const lastLine = (text: string): string => text.trimEnd().split("\n").at(-1) ?? "";

/** The result that `--json` gives. */
export const jsonOf = (ran: Ran): unknown => JSON.parse(lastLine(ran.stdout));
