/** The CPU device's buffers and the results of a run. */
import type { Values } from "../graph.ts";
import type { BufferSpec } from "../program-inputs.ts";
import type { Block } from "./heap.ts";

/** A buffer: a block of the heap, with dtype and shape. */
export interface Buffer {
  readonly block: Block;
  readonly spec: BufferSpec;
}

export type Results = Record<string, Values>;
