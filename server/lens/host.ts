/** What every lens needs around its readings: a device that may fail, readings that are remembered, work that is shared and can be stopped. */
import { createHash } from "node:crypto";
import { unlessAborted } from "../common/abort.ts";
import { DeviceError } from "../engine/errors.ts";
import { ByteCache, SharedWork } from "./cache.ts";
import { LensMissingError } from "./errors.ts";

/** What is looked through, as far as its keeping goes. */
export interface Hosted<S> {
  /** Opens the same on the CPU when the GPU has failed. Undefined where the CPU computes. */
  readonly onCpu: ((cause: DeviceError) => Promise<S>) | undefined;
  /** Frees what it holds, the device included where it is its own. */
  readonly close: () => Promise<void>;
}

export interface HostOptions<S, P> {
  /** Programs of a subject; made again when the subject moves to the CPU. */
  readonly programsOf: (subject: S) => P;
  /** What readings may take in memory before the oldest are forgotten. */
  readonly cacheBytes: number;
  /** Told when the subject moved to the CPU. */
  readonly onMoved: (subject: S) => void;
}

/** A kind of reading among all that a host remembers. */
export interface ReadingKind<R, T extends R> {
  readonly is: (reading: R) => reading is T;
  /** About how much memory a reading takes. */
  readonly bytesOf: (reading: T) => number;
}

/** A subject, its programs and its readings. */
export class LensHost<S extends Hosted<S>, P extends { dispose(): Promise<void> }, R> {
  readonly #options: HostOptions<S, P>;
  #subject: S;
  #programs: P;
  /** To the CPU, once: whatever failed on the GPU waits for it. */
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

  /** Aborted when the host is closed, or the asker's own signal is. */
  stopOf(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal]);
  }

  /** Does the work, and where the GPU fails under it once more on the CPU. */
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

  /** The reading of a key, from the cache, from who reads it already, or read now. */
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

  /** Does work that nobody shares; see `surviving`. */
  async once<T>(signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const stop = this.stopOf(signal);
    stop.throwIfAborted();
    return await unlessAborted(
      this.surviving(() => work(stop), stop),
      stop,
    );
  }

  /** Frees everything; what is under way rejects. */
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
    // What a GPU that failed held is gone whether or not it closes well.
    await subject.close().catch(() => undefined);
    if (this.#closing.signal.aborted) throw this.#closing.signal.reason;
    this.#options.onMoved(next);
  }
}

/** A digest, so that the cache does not keep the document alive that a passage was cut from. */
export function keyOf(parts: readonly string[], text: string): string {
  return createHash("sha256")
    .update(`${parts.join("\0")}\0`)
    .update(text, "utf16le")
    .digest("base64");
}
