/** The language server as a process: speaks LSP on standard input and output, and ends with the editor. */
import { startServer } from "./lsp/server.ts";

// Whatever a library prints must not come between messages.
console.log = console.info = console.debug = console.warn = console.error;

process.on("unhandledRejection", (reason) => {
  // A feature's mistake, which nobody waited for; the others go on.
  console.error("unhandled rejection:", reason);
});
// Nobody is left to speak to.
process.stdout.on("error", () => process.exit(0));

const server = startServer({
  input: process.stdin,
  output: process.stdout,
  onEnd: (status) => process.exit(status),
  // ONNX Runtime throws in a thread that is taken from it, and nobody catches that.
  onStuck: () => process.kill(process.pid, "SIGKILL"),
});

// Asked to end in the middle of a reading, the server did not crash over it: the quarantine must not count that.
for (const [name, number] of [
  ["SIGHUP", 1],
  ["SIGINT", 2],
  ["SIGTERM", 15],
] as const)
  process.on(name, () => server.end(128 + number));
