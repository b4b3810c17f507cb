import { abortOnTermination } from "../pipeline/cancel.ts";
import { main } from "./main.ts";

/** `lfp` as a process: its own arguments, streams and signals. The first Ctrl-C asks the command to stop, the second ends it at once. */
export async function runProcess(): Promise<void> {
  const { signal: terminated, dispose } = abortOnTermination();
  const unread = new AbortController();
  // Whoever reads our output may stop early, as `head` does: no error, but nothing is left to do.
  for (const stream of [process.stdout, process.stderr])
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
      unread.abort();
    });
  process.exitCode = await main(process.argv.slice(2), {
    signal: AbortSignal.any([terminated, unread.signal]),
    env: process.env,
    stdout: (text) => process.stdout.write(text),
    stderr: (text) => process.stderr.write(text),
  });
  dispose();
}
