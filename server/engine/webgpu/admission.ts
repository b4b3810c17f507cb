/** Accounts for GPU memory by purpose, and refuses allocations beyond a limit. */
import { DeviceError } from "../errors.ts";
import { sizeText } from "./values.ts";

/** A purpose and the bytes that it needs. */
export interface Demand {
  readonly what: string;
  readonly bytes: number;
}

export interface MemoryLimit {
  readonly bytes: number;
  /** Origin of that number, for messages. */
  readonly source: string;
}

/** Adapters need one copy of the weights, and moments and gradients for themselves alone. */
const smallerModel = "take a smaller model; where a run tunes one, train adapters (lora in its tuning's settings)";

/** What the user should reduce, by the purpose that needs most memory; the batch for all others. */
const advice: Readonly<Record<string, string>> = {
  weights: smallerModel,
  moments: smallerModel,
  gradients: smallerModel,
  caches: "sample fewer texts at once, or shorter ones",
  buffers: "harvest fewer activations at once, or of fewer layers",
};
const batchAdvice = "take a smaller batch or shorter texts, or a smaller model";

export class MemoryLedger {
  readonly #limit: MemoryLimit | undefined;
  readonly #held = new Map<string, number>();

  /** Without a limit only the driver refuses allocations. */
  constructor(limit: MemoryLimit | undefined) {
    this.#limit = limit;
  }

  get heldBytes(): number {
    return [...this.#held.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Throws `DeviceError` with the totals by purpose if these do not fit. Nothing has been allocated by then. */
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
