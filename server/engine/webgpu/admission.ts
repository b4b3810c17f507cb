/** What of a GPU's memory is held, by what for, and what is let in. */
import { DeviceError } from "../errors.ts";
import { sizeText } from "./values.ts";

/** What needs memory, and how much. */
export interface Demand {
  readonly what: string;
  readonly bytes: number;
}

export interface MemoryLimit {
  readonly bytes: number;
  /** Where that number is from, for people. */
  readonly source: string;
}

/** What to lower where a kind of memory is most of what is needed; else the batch. */
const advice: Readonly<Record<string, string>> = {
  weights: "take a smaller model",
  moments: "take a smaller model",
  gradients: "take a smaller model",
  caches: "sample fewer texts at once, or shorter ones",
  buffers: "harvest fewer activations at once, or of fewer layers",
};
const batchAdvice = "take a smaller batch or shorter texts, or a smaller model";

export class MemoryLedger {
  readonly #limit: MemoryLimit | undefined;
  readonly #held = new Map<string, number>();

  /** Without a limit it is the driver that refuses. */
  constructor(limit: MemoryLimit | undefined) {
    this.#limit = limit;
  }

  get heldBytes(): number {
    return [...this.#held.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Throws `DeviceError` with the sum by kind when memory for these does not suffice. Nothing has been allocated then. */
  admit(demands: readonly Demand[]): void {
    const needed = demands.reduce((sum, { bytes }) => sum + bytes, 0);
    const limit = this.#limit;
    if (limit === undefined || this.heldBytes + needed <= limit.bytes) return;
    const largest = demands.toSorted((a, b) => b.bytes - a.bytes)[0]?.what ?? "";
    throw new DeviceError(
      `the GPU's memory does not suffice: ${sizeText(needed)} are needed ${listed(demands)} and ${this.heldText()}, ` +
        `${sizeText(this.heldBytes + needed)} of ${sizeText(limit.bytes)} (${limit.source}): ${advice[largest] ?? batchAdvice}`,
    );
  }

  add({ what, bytes }: Demand): void {
    this.#held.set(what, (this.#held.get(what) ?? 0) + bytes);
  }

  remove({ what, bytes }: Demand): void {
    this.add({ what, bytes: -bytes });
  }

  /** `3.0 GiB are held (weights 1.0 GiB, moments 2.0 GiB)`. */
  heldText(): string {
    const held = [...this.#held].map(([what, bytes]) => ({ what, bytes }));
    return this.heldBytes === 0 ? "nothing is held" : `${sizeText(this.heldBytes)} are held ${listed(held)}`;
  }
}

function listed(demands: readonly Demand[]): string {
  const parts = demands.filter(({ bytes }) => bytes > 0).toSorted((a, b) => b.bytes - a.bytes);
  return `(${parts.map(({ what, bytes }) => `${what} ${sizeText(bytes)}`).join(", ")})`;
}
