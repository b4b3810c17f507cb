/** Removes API keys from the language client's message traces, so that they can go to a log file. */
import type { LogOutputChannel } from "vscode";

/**
 * Wraps the channel so that traces contain no key: with `trace.server` at `verbose` they are whole messages, one of
 * which carries the key to the server.
 */
export function traceChannel(log: LogOutputChannel): LogOutputChannel {
  const trace: LogOutputChannel["trace"] = (message) => log.trace(withoutKeys(message));
  // The other members work unchanged when called on this object.
  return Object.create(log, { trace: { value: trace } });
}

/** Replaces the `apiKey` in the JSON of `ExplainFeatures`. */
export function withoutKeys(message: string): string {
  return message.replaceAll(/("apiKey"\s*:\s*)"(?:[^"\\]|\\.)*"?/g, '$1"…"');
}
