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

startServer({
  input: process.stdin,
  output: process.stdout,
  onEnd: (status) => process.exit(status),
  // ONNX Runtime throws in a thread that is taken from it, and nobody catches that.
  onStuck: () => process.kill(process.pid, "SIGKILL"),
});
