import type { Readable } from "node:stream";
import { AbstractMessageReader, type DataCallback, type Disposable, type Message } from "vscode-languageserver/node";
import { messageOf } from "../common/errors.ts";
import { MAX_HEADER_BYTES, MAX_MESSAGE_BYTES } from "./limits.ts";

/** What the reader knows about a message that it skipped because of its size. */
export interface SkippedMessage {
  readonly bytes: number;
  /** Undefined for a notification. */
  readonly id: string | number | undefined;
  readonly method: string | undefined;
  readonly uri: string | undefined;
}

export interface MessageReaderOptions {
  readonly maxBytes?: number;
  readonly onSkipped: (message: SkippedMessage) => void;
  /** Called for bytes that are no message; reading continues with the next message. */
  readonly onMalformed: (reason: string) => void;
}

/**
 * Reads JSON-RPC messages like the library's reader, and is robust where that one is not: it skips oversized messages
 * without buffering them, bounds headers, and after bytes that are no message continues with the next header.
 */
export class BoundedMessageReader extends AbstractMessageReader {
  readonly #input: Readable;
  readonly #options: Required<MessageReaderOptions>;
  #state: ReadState = { kind: "header", bytes: Buffer.alloc(0) };

  constructor(input: Readable, options: MessageReaderOptions) {
    super();
    this.#input = input;
    this.#options = { maxBytes: MAX_MESSAGE_BYTES, ...options };
  }

  override listen(callback: DataCallback): Disposable {
    const onData = (chunk: Buffer): void => this.#take(chunk, callback);
    const onEnd = (): void => this.fireClose();
    const onError = (error: Error): void => this.fireError(error);
    this.#input.on("data", onData).on("end", onEnd).on("close", onEnd).on("error", onError);
    return {
      dispose: () => {
        this.#input.off("data", onData).off("end", onEnd).off("close", onEnd).off("error", onError);
      },
    };
  }

  #take(chunk: Buffer, callback: DataCallback): void {
    for (let rest = chunk; rest.length > 0; ) {
      switch (this.#state.kind) {
        case "header":
          rest = this.#takeHeader(this.#state, rest);
          break;
        case "body":
          rest = this.#takeBody(this.#state, rest, callback);
          break;
        case "skip":
          rest = this.#takeSkipped(this.#state, rest);
          break;
      }
      // A message without a body is complete now.
      if (this.#state.kind === "body" && this.#state.length === 0) this.#takeBody(this.#state, rest, callback);
    }
  }

  #takeHeader(state: Extract<ReadState, { kind: "header" }>, chunk: Buffer): Buffer {
    // Bounded, however large the chunk; long enough to contain a header's end.
    const taken = chunk.subarray(0, MAX_HEADER_BYTES);
    const bytes = Buffer.concat([state.bytes, taken]);
    const end = bytes.indexOf(HEADER_END);
    if (end < 0) {
      if (bytes.length > MAX_HEADER_BYTES)
        this.#options.onMalformed(`${bytes.length} bytes without the end of a header`);
      const kept = bytes.length > MAX_HEADER_BYTES ? bytes.subarray(-HEADER_TAIL_BYTES) : bytes;
      this.#state = { kind: "header", bytes: kept };
      return chunk.subarray(taken.length);
    }
    const length = contentLength(bytes.toString("latin1", 0, end + HEADER_END.length));
    if (length === undefined) {
      this.#options.onMalformed(`a header without a length: ${shown(bytes.toString("latin1", 0, end))}`);
      this.#state = { kind: "header", bytes: Buffer.alloc(0) };
    } else if (length > this.#options.maxBytes) {
      this.#state = { kind: "skip", length, left: length, head: Buffer.alloc(0) };
    } else {
      this.#state = { kind: "body", length, received: 0, chunks: [] };
    }
    return chunk.subarray(Math.max(0, end + HEADER_END.length - state.bytes.length));
  }

  #takeBody(state: Extract<ReadState, { kind: "body" }>, chunk: Buffer, callback: DataCallback): Buffer {
    const taken = chunk.subarray(0, state.length - state.received);
    state.chunks.push(taken);
    state.received += taken.length;
    if (state.received === state.length) {
      this.#state = { kind: "header", bytes: Buffer.alloc(0) };
      this.#deliver(Buffer.concat(state.chunks), callback);
    }
    return chunk.subarray(taken.length);
  }

  #takeSkipped(state: Extract<ReadState, { kind: "skip" }>, chunk: Buffer): Buffer {
    const taken = chunk.subarray(0, state.left);
    if (state.head.length < SKIPPED_HEAD_BYTES)
      state.head = Buffer.concat([state.head, taken.subarray(0, SKIPPED_HEAD_BYTES - state.head.length)]);
    state.left -= taken.length;
    if (state.left === 0) {
      this.#state = { kind: "header", bytes: Buffer.alloc(0) };
      this.#options.onSkipped({ bytes: state.length, ...headOf(state.head.toString()) });
    }
    return chunk.subarray(taken.length);
  }

  #deliver(body: Buffer, callback: DataCallback): void {
    try {
      const message: unknown = JSON.parse(body.toString());
      if (isMessage(message)) callback(message);
      else this.#options.onMalformed(`no request, notification or answer: ${shown(body.toString("utf8", 0, 400))}`);
    } catch (error) {
      this.#options.onMalformed(messageOf(error).slice(0, 300));
    }
  }
}

type ReadState =
  | { readonly kind: "header"; readonly bytes: Buffer }
  | { readonly kind: "body"; readonly length: number; received: number; readonly chunks: Buffer[] }
  | { readonly kind: "skip"; readonly length: number; left: number; head: Buffer };

const HEADER_END = "\r\n\r\n";
/** Number of bytes to keep of bytes that are no header, so that a header which begins in them is found. */
const HEADER_TAIL_BYTES = 128;
const SKIPPED_HEAD_BYTES = 4096;

/** The last Content-Length of a header: what precedes it may be the rest of a truncated message. */
function contentLength(header: string): number | undefined {
  const found = [...header.matchAll(/content-length:[ \t]*(\d{1,15})[ \t]*\r\n/gi)].at(-1);
  return found === undefined ? undefined : Number(found[1]);
}

/** Whether a value is a JSON-RPC message: valid id, and params (by name, as in LSP) or a result. */
function isMessage(value: unknown): value is Message {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const id = "id" in value ? value.id : undefined;
  const hasId = typeof id === "number" || (typeof id === "string" && id.length <= 1000);
  if (!("method" in value)) return (hasId || id === null) && ("result" in value || "error" in value);
  if (typeof value.method !== "string" || !(hasId || id === undefined)) return false;
  if (value.method !== "$/cancelRequest") return true;
  const params = "params" in value ? value.params : undefined;
  return typeof params === "object" && params !== null && "id" in params && isId(params.id);
}

function isId(id: unknown): boolean {
  return typeof id === "number" || typeof id === "string";
}

/** Extracts id, method and uri from the beginning of a skipped message: editors write them before the text. */
function headOf(head: string): Omit<SkippedMessage, "bytes"> {
  const method = /"method"\s*:\s*"([^"\\]{1,200})"/.exec(head)?.[1];
  const uri = /"uri"\s*:\s*("(?:[^"\\]|\\.){1,4000}")/.exec(head)?.[1];
  const id = /"id"\s*:\s*(-?\d{1,15}|"[^"\\]{1,200}")/.exec(head.split('"params"')[0] ?? "")?.[1];
  return { method, uri: parsed(uri, "string"), id: parsed(id, "string") ?? parsed(id, "number") };
}

function parsed(json: string | undefined, type: "string"): string | undefined;
function parsed(json: string | undefined, type: "number"): number | undefined;
function parsed(json: string | undefined, type: "string" | "number"): unknown {
  try {
    const value: unknown = json === undefined ? undefined : JSON.parse(json);
    return typeof value === type ? value : undefined;
  } catch {
    return undefined;
  }
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 120));
}
