/**
 * Services of every lens around its readings: fallback to the CPU, a cache, work shared between callers, and
 * cancellation.
 */
import { createHash } from "node:crypto";
import { unlessAborted } from "../common/abort.ts";
import { DeviceError } from "../engine/errors.ts";
import { ByteCache, SharedWork } from "./cache.ts";
import { LensMissingError } from "./errors.ts";

/** The resources of a lens: what its host opens, moves and closes. */
export interface Hosted<S> {
  /** Reopens the subject on the CPU after a GPU failure. Undefined if it is on the CPU already. */
  readonly onCpu: ((cause: DeviceError) => Promise<S>) | undefined;
  /** Frees what it holds, including the device if it owns it. */
  readonly close: () => Promise<void>;
}

export interface HostOptions<S, P> {
  /** Creates the programs of a subject; called again when the subject moves to the CPU. */
  readonly programsOf: (subject: S) => P;
  /** Upper bound on the cached readings, in bytes. */
  readonly cacheBytes: number;
  /** Called after the subject moved to the CPU. */
  readonly onMoved: (subject: S) => void;
}

/** One kind of reading among those that a host caches. */
export interface ReadingKind<R, T extends R> {
  readonly is: (reading: R) => reading is T;
  /** Approximate memory of a reading. */
  readonly bytesOf: (reading: T) => number;
}

/** A subject, its programs and its readings. */
export class LensHost<S extends Hosted<S>, P extends { dispose(): Promise<void> }, R> {
  readonly #options: HostOptions<S, P>;
  #subject: S;
  #programs: P;
  /** The one-time move to the CPU after a GPU failure; failed requests await it, then retry. */
  #moving: Promise<void> | undefined;
  readonly #cache: ByteCache<R>;
  readonly #shared = new SharedWork<R>();
  readonly #closing = new AbortController();

  constructor(subject: S, options: HostOptions<S, P>) {
    this.#options = options;
    this.#subject = subject;
    this.#programs = options.programsOf(subject);
    this.#cache = new ByteCache(options.cacheBytes);
  }

  get subject(): S {
    return this.#subject;
  }

  get programs(): P {
    return this.#programs;
  }

  /** A signal that is aborted when the host is closed, or the caller's own signal is. */
  stopOf(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal]);
  }

  /** Runs the work, and retries it once on the CPU if the GPU fails. */
  async surviving<T>(work: () => Promise<T>, stop = this.#closing.signal): Promise<T> {
    const began = this.#subject;
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof DeviceError) || stop.aborted || this.#closing.signal.aborted) throw error;
      if (began === this.#subject) {
        if (began.onCpu === undefined) throw error;
        this.#moving ??= this.#move(began.onCpu(error));
      }
      await this.#moving;
      return await work();
    }
  }

  /** The reading of a key: from the cache, from a concurrent caller's work, or read now. */
  async cached<T extends R>(
    key: string,
    kind: ReadingKind<R, T>,
    signal: AbortSignal | undefined,
    read: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const known = this.#cache.get(key);
    if (known !== undefined && kind.is(known)) return known;
    const reading = await this.#shared.run(key, this.stopOf(signal), (stop) => this.surviving(() => read(stop), stop));
    if (!kind.is(reading)) throw new TypeError("a reading of another kind stands under this key");
    this.#cache.set(key, reading, kind.bytesOf(reading) + key.length);
    return reading;
  }

  /** Runs work that is not shared; see `surviving`. */
  async once<T>(signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const stop = this.stopOf(signal);
    stop.throwIfAborted();
    return await unlessAborted(
      this.surviving(() => work(stop), stop),
      stop,
    );
  }

  /** Frees everything; work in progress rejects. */
  async close(): Promise<void> {
    this.#closing.abort(new LensMissingError("the lens was closed"));
    await this.#moving?.catch(() => undefined);
    await this.#programs.dispose();
    await this.#subject.close();
  }

  async #move(opening: Promise<S>): Promise<void> {
    const next = await opening;
    const [subject, programs] = [this.#subject, this.#programs];
    this.#subject = next;
    this.#programs = this.#options.programsOf(next);
    await programs.dispose();
    // A failed GPU's memory is lost whether or not closing succeeds.
    await subject.close().catch(() => undefined);
    if (this.#closing.signal.aborted) throw this.#closing.signal.reason;
    this.#options.onMoved(next);
  }
}

/** A digest of the text, since the text itself would keep its whole document in memory. */
export function keyOf(parts: readonly string[], text: string): string {
  return createHash("sha256")
    .update(`${parts.join("\0")}\0`)
    .update(text, "utf16le")
    .digest("base64");
}
