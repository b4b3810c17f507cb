/** Serves the questions by the Model Context Protocol. */
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js";
import { packageVersion } from "../common/package-root.ts";
import { knownError } from "../common/system-errors.ts";
import { message } from "../common/untrusted-text.ts";
import type { OpenLensOptions } from "../pipeline/finished/open-lens.ts";
import { QuestionName, questionCaution, questionInputs, questionWords } from "../protocol/questions.ts";
import { ask } from "./ask.ts";
import { RunSources } from "./run-sources.ts";
import type { Sources } from "./sources.ts";

export interface QuestionServerOptions {
  /** Absolute path of the folder of runs, which need not exist. */
  readonly runsRoot: string;
  readonly lens: OpenLensOptions;
}

export interface Connection {
  readonly input: Readable;
  readonly output: Writable;
  /** Ends the server. */
  readonly signal: AbortSignal;
  /** Told of defects, one line each. */
  readonly note: (line: string) => void;
}

/** Answers a client until its input ends or the signal is aborted. */
export async function serveQuestions(
  { runsRoot, lens }: QuestionServerOptions,
  { input, output, signal, note }: Connection,
): Promise<void> {
  await using sources = new RunSources(runsRoot, lens);
  const server = questionServer(sources, note);
  const ended = Promise.race([once(input, "end", { signal }), once(input, "close", { signal })]).catch(() => undefined);
  await server.connect(new StdioServerTransport(input, output, { maxBufferSize: MAX_INPUT_BYTES }));
  await ended;
  await server.close();
}

/** Several times the longest message of a client. */
const MAX_INPUT_BYTES = 1 << 20;

function questionServer(sources: Sources, note: (line: string) => void): McpServer {
  const server = new McpServer(
    { name: "lfp-lens", title: "LFP Lens", version: packageVersion() },
    {
      instructions:
        "Shows what reward a fine-tuned language model has learned, from finished LFP Lens runs. Start with status for the runs that there are. " +
        questionCaution,
    },
  );
  for (const name of QuestionName.options) {
    const { title, about } = questionWords[name];
    server.registerTool(
      name,
      {
        title,
        description: `${about} ${questionCaution}`,
        inputSchema: questionInputs[name],
        annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
      },
      async (given: unknown, { signal }: { readonly signal: AbortSignal }): Promise<CallToolResult> => {
        try {
          return { content: [{ type: "text", text: await ask(name, given, sources, signal) }] };
        } catch (error) {
          // The client has gone on and reads no answer.
          signal.throwIfAborted();
          return { content: [{ type: "text", text: failureText(name, error, note) }], isError: true };
        }
      },
    );
  }
  return server;
}

/** What a client is told of a failure; a defect is noted with its place. */
function failureText(name: QuestionName, error: unknown, note: (line: string) => void): string {
  const known = knownError(error);
  if (known !== undefined) return message(known.message);
  note(`${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return message(`a defect in lfp: ${error instanceof Error ? error.message : String(error)}; please report it`);
}
