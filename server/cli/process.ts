import { setImmediate } from "node:timers/promises";
import { message } from "../common/untrusted-text.ts";
import { abortOnTermination } from "../runs/cancel.ts";
import { exitCodes } from "./exit-codes.ts";
import { main } from "./main.ts";

/**
 * `lfp` as a process: its own arguments, streams and signals. The first Ctrl-C asks the command to stop, the second
 * ends it at once.
 */
export async function runProcess(): Promise<void> {
  const { signal: terminated, dispose } = abortOnTermination();
  const unread = new AbortController();
  let lost: Error | undefined;
  // The reader of our output may stop early, as `head` does: not an error, but the command can end.
  for (const stream of [process.stdout, process.stderr])
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") unread.abort();
      // A command still finishes what it writes elsewhere, and notes that cannot be printed are no reason to stop.
      else if (stream === process.stdout) lost ??= error;
    });
  const code = await main(process.argv.slice(2), {
    signal: AbortSignal.any([terminated, unread.signal]),
    env: process.env,
    stdout: (text) => process.stdout.write(text),
    stderr: (text) => process.stderr.write(text),
  });
  dispose();
  // An error of the last write is emitted after it.
  await setImmediate();
  if (lost !== undefined)
    process.stderr.write(
      `lfp: the output could not be written: ${message(lost.message)}. Free some space, or write it elsewhere, and run this again.\n`,
    );
  process.exitCode = lost !== undefined && code === exitCodes.ok.code ? exitCodes.resource.code : code;
}
