/** Threads that compute the parts of a probe's evaluation while the evaluation waits for them in its own order. */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { unlessAborted } from "../common/abort.ts";
import { machineMemory } from "../common/machine-memory.ts";
import { rowMatrix } from "../statistics/linear-algebra.ts";
import type { TripleFeatures } from "./features.ts";
import { computePart, type PartData, type PartKey, partKeys, partName, type RunPart } from "./parts.ts";
import { controlInputs, type ProbeData } from "./probe-data.ts";
import type { ProbeSettings } from "./report-types.ts";
import type { PartStore } from "./saved-parts.ts";

/** What a thread starts with; all threads read the same features. */
export interface PartWork {
  readonly data: PartData;
  readonly settings: ProbeSettings;
}

export interface PartRequest {
  readonly id: number;
  readonly key: PartKey;
}

export interface PartReply {
  readonly id: number;
  /** Undefined: computing the part failed. */
  readonly result: unknown;
}

export interface PartThreadOptions {
  /** At most this many; by default as many as there are cores, and as the machine's memory holds. */
  readonly threads?: number;
  /** Parts that it holds are not computed. */
  readonly parts: PartStore;
  readonly signal?: AbortSignal | undefined;
}

/** Runs parts on threads, for `evaluateProbe`. Dispose it after use. */
export interface PartThreads extends Disposable {
  readonly run: RunPart;
}

/**
 * Starts to compute every part of the evaluation of data and settings on threads, in the evaluation's order. The results
 * are the same for any number of threads. With fewer than two, each part is computed when it is asked for.
 */
export function openPartThreads(data: ProbeData, settings: ProbeSettings, options: PartThreadOptions): PartThreads {
  const { threads = threadsFor(data), parts, signal } = options;
  const keys = partKeys(data, settings).filter((key) => parts.find(partName(key)) === undefined);
  if (threads < 2 || keys.length < 2) return { run: computePart, [Symbol.dispose]: () => undefined };
  const pool = new PartPool({ data: sharedData(data), settings }, Math.min(threads, keys.length));
  const results = new Map(keys.map((key) => [partName(key), pool.result(key)]));
  return {
    run: async (key, context) => {
      const found = await unlessAborted(results.get(partName(key)) ?? Promise.resolve(undefined), signal);
      // What failed on a thread fails here with its own error.
      return found ?? (await computePart(key, context));
    },
    [Symbol.dispose]: () => pool.close(),
  };
}

/** Hands parts to threads, one at a time to each. */
class PartPool {
  readonly #workers: readonly Worker[];
  readonly #waiting: PartRequest[] = [];
  readonly #settle = new Map<number, (result: unknown) => void>();
  readonly #idle: Worker[] = [];
  #next = 0;

  constructor(work: PartWork, threads: number) {
    this.#workers = Array.from({ length: threads }, () => this.#start(work));
    this.#idle.push(...this.#workers);
  }

  /** The part's result; undefined if it could not be computed. */
  result(key: PartKey): Promise<unknown> {
    const id = this.#next++;
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.#settle.set(id, resolve);
    this.#waiting.push({ id, key });
    this.#handOut();
    return promise;
  }

  close(): void {
    for (const worker of this.#workers) void worker.terminate();
    this.#giveUp();
  }

  #start(workerData: PartWork): Worker {
    // From source part-worker.ts is beside this file; in the bundle it is probe-worker.js.
    const file = import.meta.url.endsWith(".ts") ? "./part-worker.ts" : "./probe-worker.js";
    const worker = new Worker(new URL(file, import.meta.url), { workerData });
    worker.on("message", ({ id, result }: PartReply) => {
      this.#resolve(id, result);
      this.#idle.push(worker);
      this.#handOut();
    });
    // Its part, and all that wait, are then computed where they are asked for.
    worker.on("error", () => this.#giveUp());
    return worker;
  }

  #handOut(): void {
    while (this.#idle.length > 0 && this.#waiting.length > 0) this.#idle.pop()?.postMessage(this.#waiting.shift());
  }

  #resolve(id: number, result: unknown): void {
    this.#settle.get(id)?.(result);
    this.#settle.delete(id);
  }

  #giveUp(): void {
    this.#waiting.length = 0;
    for (const id of [...this.#settle.keys()]) this.#resolve(id, undefined);
  }
}

/** Share of the machine's memory that all threads may take beside the features. */
const memoryShare = 1 / 4;

function threadsFor(data: PartData): number {
  const most = Math.max(...["features" as const, ...controlInputs].map((name) => bytesOfPart(data[name])));
  return Math.min(availableParallelism(), Math.floor((memoryShare * machineMemory()) / Math.max(1, most)));
}

/** Bytes that a fit takes: its training rows, and the triangle that it factors with its copies. */
function bytesOfPart(features: TripleFeatures | undefined): number {
  if (features === undefined) return 0;
  const { rows, columns, data } = features.rows;
  return rows * columns * data.BYTES_PER_ELEMENT + 2 * 8 * Math.min(rows, columns) ** 2;
}

/** The data with its features in memory that threads share. */
function sharedData(data: ProbeData): PartData {
  const { triples, ratings, features, logRatios } = data;
  const { values, range } = ratings;
  const controls = controlInputs.flatMap((name) => {
    const own = data[name];
    return own === undefined ? [] : [[name, sharedFeatures(own)] as const];
  });
  return {
    triples,
    ratings: { values, range },
    features: sharedFeatures(features),
    ...(logRatios === undefined ? {} : { logRatios }),
    ...Object.fromEntries(controls),
  };
}

function sharedFeatures(features: TripleFeatures): TripleFeatures {
  const { data, rows, columns } = features.rows;
  const memory = new SharedArrayBuffer(data.byteLength);
  const shared = data instanceof Float32Array ? new Float32Array(memory) : new Float64Array(memory);
  shared.set(data);
  return { ...features, rows: rowMatrix(shared, rows, columns) };
}
