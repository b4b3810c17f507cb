/** What the language client writes of its messages, in words that may stand in a log file. */
import type { LogOutputChannel } from "vscode";

/** The channel, but traces have no key in them: with `trace.server` at `verbose` they are whole messages, one of which brings the key to the server. */
export function traceChannel(log: LogOutputChannel): LogOutputChannel {
  const trace: LogOutputChannel["trace"] = (message) => log.trace(withoutKeys(message));
  // Its other members work on whatever they are called on.
  return Object.create(log, { trace: { value: trace } });
}

/** The JSON of `ExplainFeatures`, whose `apiKey` it is. */
export function withoutKeys(message: string): string {
  return message.replaceAll(/("apiKey"\s*:\s*)"(?:[^"\\]|\\.)*"?/g, '$1"…"');
}
