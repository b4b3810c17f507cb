import { resolve } from "node:path";
import { type CommandResult, defineCommand } from "./command.ts";
import { option } from "./options.ts";
import { deviceOptions } from "./with-device.ts";

export const mcp = defineCommand({
  usage: "[options]",
  about:
    "Answers other programs' questions about runs by the Model Context Protocol, over standard input and output, until standard input ends: score (a text read " +
    "through a run, word by word), features, feature, report and status. It reads only: it writes nothing, starts nothing and opens no connection.\n\n" +
    "Not for typing: register it with an editor or an assistant, which starts it. docs/cli.md shows how.",
  options: {
    runs: option.text("DIR", "the folder of runs (default runs); the run that comes with lfp can be asked about too"),
    ...deviceOptions,
  },
  run: async ({ options: { runs = "runs", device, threads }, env, signal, note }): Promise<CommandResult> => {
    const { serveQuestions } = await import("../questions/mcp-server.ts");
    await serveQuestions(
      { runsRoot: resolve(runs), lens: { device, threads, env, note } },
      { input: process.stdin, output: process.stdout, signal, note },
    );
    return { json: {}, text: "", isSilent: true };
  },
});
