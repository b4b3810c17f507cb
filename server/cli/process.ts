import { setImmediate } from "node:timers/promises";
import { message } from "../common/untrusted-text.ts";
import { abortOnTermination } from "../runs/cancel.ts";
import { exitCodes } from "./exit-codes.ts";
import { main } from "./main.ts";

/** `lfp` as a process: its own arguments, streams and signals. The first Ctrl-C asks the command to stop, the second ends it at once. */
export async function runProcess(): Promise<void> {
  const { signal: terminated, dispose } = abortOnTermination();
  const unread = new AbortController();
  let lost: Error | undefined;
  // Whoever reads our output may stop early, as `head` does: no error, but nothing is left to do.
  for (const stream of [process.stdout, process.stderr])
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") unread.abort();
      // What a command writes elsewhere is worth its end, and notes that nobody can be given are no reason to stop.
      else if (stream === process.stdout) lost ??= error;
    });
  const code = await main(process.argv.slice(2), {
    signal: AbortSignal.any([terminated, unread.signal]),
    env: process.env,
    stdout: (text) => process.stdout.write(text),
    stderr: (text) => process.stderr.write(text),
  });
  dispose();
  // An error of the last write comes after it.
  await setImmediate();
  if (lost !== undefined)
    process.stderr.write(
      `lfp: the output could not be written: ${message(lost.message)}. Free some space, or write it elsewhere, and run this again.\n`,
    );
  process.exitCode = lost !== undefined && code === exitCodes.ok.code ? exitCodes.resource.code : code;
}
