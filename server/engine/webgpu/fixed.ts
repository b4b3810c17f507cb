import type { FixedEntry, FixedMemory, ShareOptions, StateStore } from "../device.ts";
import { checkFixed } from "../fixed-entries.ts";
import type { GpuContext } from "./context.ts";
import { GpuStateStore, ownStore } from "./state.ts";

/** Weights that no program writes, in the GPU's memory as they are given: F16 and BF16 are widened at each read. */
export class GpuFixedMemory implements FixedMemory {
  readonly fromBytes: number;
  readonly isRequired = false;
  readonly #context: GpuContext;

  constructor(context: GpuContext, fromBytes: number) {
    this.#context = context;
    this.fromBytes = fromBytes;
  }

  admit(bytes: number): Promise<void> {
    return this.#context.inTurn(async () => this.#context.memory.admit([{ what: "weights", bytes }]));
  }

  async create(entries: readonly FixedEntry[]): Promise<StateStore> {
    for (const entry of entries) checkFixed(entry);
    return await this.#context.inTurn(() => GpuStateStore.create(this.#context, entries));
  }

  async share(store: StateStore, options: ShareOptions): Promise<StateStore> {
    for (const entry of options.entries ?? []) checkFixed(entry);
    return await this.#context.inTurn(() => ownStore(store).share(options));
  }
}
