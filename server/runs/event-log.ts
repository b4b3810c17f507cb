import { parseJson } from "../common/json.ts";
import { RunEvent, type RunEventBody } from "../protocol/run-events.ts";
import type { FileSystem } from "./files.ts";
import { JsonLinesFile } from "./json-lines.ts";
import { RunFileError } from "./run-folder.ts";

/** `events.jsonl`: numbers and time-stamps each event. Only for the lock's holder. */
export class EventLog {
  readonly #file: JsonLinesFile;
  readonly #onEvent: ((event: RunEvent) => void) | undefined;
  #seq: number;

  /** Calls `onEvent` with every event after it has been written to the file. */
  constructor(path: string, files: FileSystem, onEvent?: (event: RunEvent) => void) {
    this.#file = new JsonLinesFile(path, files);
    this.#onEvent = onEvent;
    const last = this.#file.lastLine();
    this.#seq = last === undefined ? 0 : parseEvent(last, path).seq;
  }

  append(body: RunEventBody): void {
    const event = stamp(body, this.#seq + 1);
    this.#file.append(event);
    this.#seq = event.seq;
    this.#onEvent?.(event);
  }

  sync(): void {
    this.#file.sync();
  }

  close(): void {
    this.#file.close();
  }
}

/** One line of `events.jsonl`. Throws `RunFileError`. */
export function parseEvent(line: string, path: string): RunEvent {
  try {
    return RunEvent.parse(parseJson(line));
  } catch (cause) {
    throw new RunFileError(
      `${path} holds a line that this version does not know: ${line.slice(0, 120)}. If a newer version wrote it, use that one.`,
      { cause },
    );
  }
}

function stamp(body: RunEventBody, seq: number): RunEvent {
  return { seq, time: new Date().toISOString(), ...body };
}
