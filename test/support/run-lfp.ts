import { join } from "node:path";
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

export const lastLine = (text: string): string => text.trimEnd().split("\n").at(-1) ?? "";

/** The result that `--json` gives. */
export const jsonOf = (ran: Ran): unknown => JSON.parse(lastLine(ran.stdout));
