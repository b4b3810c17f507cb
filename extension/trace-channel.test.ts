import { PassThrough } from "node:stream";
import { expect, it } from "vitest";
import type { LogOutputChannel } from "vscode";
import {
  createProtocolConnection,
  StreamMessageReader,
  StreamMessageWriter,
  Trace,
  TraceFormat,
} from "vscode-languageserver/node";
import { ExplainFeatures } from "../server/protocol/features.ts";
import { traceChannel, withoutKeys } from "./trace-channel.ts";

const canary = 'sk-canary-"quoted\\"-5521';
const params = {
  runFolder: "/runs/a",
  ids: ["L1/F2"],
  endpoint: { baseUrl: "https://llm.example/v1", model: "m", prices: null, apiKey: canary },
  capUsd: 1,
  job: "j",
};

/** What a client's log has of the request that brings the key. */
async function traced(trace: Trace, traceFormat: TraceFormat): Promise<string> {
  const lines: string[] = [];
  const log = { name: "LFP Lens", trace: (message: string) => lines.push(message) } as unknown as LogOutputChannel;
  const channel = traceChannel(log);
  const toServer = new PassThrough();
  const connection = createProtocolConnection(
    new StreamMessageReader(new PassThrough()),
    new StreamMessageWriter(toServer),
  );
  connection.listen();
  await connection.trace(
    trace,
    {
      log: (message: unknown, data?: string) =>
        channel.trace(typeof message === "string" ? `${message}\n${data ?? ""}` : JSON.stringify(message)),
    },
    { sendNotification: false, traceFormat },
  );
  connection.sendRequest(ExplainFeatures.method, params).catch(() => undefined);
  // The request has been traced once it has been written.
  await new Promise((resolve) => toServer.once("data", resolve));
  connection.dispose();
  return lines.join("\n");
}

it.each([
  [Trace.Verbose, TraceFormat.Text],
  [Trace.Compact, TraceFormat.Text],
  [Trace.Verbose, TraceFormat.JSON],
])("a trace (%s, %s) has all of a message but the key", async (trace, format) => {
  const text = await traced(trace, format);
  expect(text).toContain("https://llm.example/v1");
  expect(text).toContain("apiKey");
  expect(text).not.toContain("canary");
  expect(text).not.toContain("5521");
});

it("has no key of a message that is cut off within it, and other texts as they are", () => {
  expect(withoutKeys('{"apiKey": "sk-cana')).toBe('{"apiKey": "…"');
  expect(withoutKeys('{"text":"say apiKey"}')).toBe('{"text":"say apiKey"}');
});

it("is the log in all else", () => {
  const log = { name: "LFP Lens", trace: () => undefined } as unknown as LogOutputChannel;
  expect(traceChannel(log).name).toBe("LFP Lens");
});
