/** What the CPU device holds values in, and what a run gives back. */
import type { Values } from "../graph.ts";
import type { BufferSpec } from "../program-inputs.ts";
import type { Block } from "./heap.ts";

/** Held values: a block of the heap and what it means. */
export interface Buffer {
  readonly block: Block;
  readonly spec: BufferSpec;
}

export type Results = Record<string, Values>;
