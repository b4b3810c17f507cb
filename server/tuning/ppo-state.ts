/** A trainer's state as plain data and bytes, in the form in which a stage of the pipeline saves its checkpoints. */
import { endianness } from "node:os";
import { z } from "zod";
import { invariant } from "../common/errors.ts";
import type { StateStore } from "../engine/device.ts";
import { PpoStateError } from "./ppo-errors.ts";

const randomState = z.tuple([z.int(), z.int(), z.int(), z.int()]).readonly();

/** A trainer's state apart from its tensors. */
export const PpoProgress = z
  .strictObject({
    /** Number of PPO steps done. */
    steps: z.int().nonnegative(),
    /** Number of mini-batches done: AdamW's step number. */
    optimizerSteps: z.int().nonnegative(),
    klCoefficient: z.number().nonnegative(),
    /** Seed of the order of prompts. */
    seed: randomState,
    /** State of the stream of lengths, samples and mini-batches. */
    random: randomState,
  })
  .readonly();
export type PpoProgress = z.infer<typeof PpoProgress>;

/** A trainer's state. Save it before the trainer's next step: tensors are read from the device only when requested. */
export interface PpoState {
  readonly state: PpoProgress;
  readonly files: { readonly [tensorsFile]: AsyncIterable<Uint8Array> };
}

/** A saved state: `read` returns the bytes of a file. */
export interface SavedPpoState {
  readonly state: unknown;
  read(name: string): Promise<Uint8Array>;
}

/**
 * File of weights, value head and moments, concatenated as little-endian float32, in the order of the stores' names.
 */
export const tensorsFile = "tensors.f32";

export async function* tensorBytes(stores: readonly StateStore[]): AsyncGenerator<Uint8Array> {
  invariant(endianness() === "LE", "weights are written as they stand in memory, which needs a little-endian machine");
  for (const store of stores) {
    for (const name of store.names) {
      const { buffer, byteOffset, byteLength } = await store.read(name);
      yield new Uint8Array(buffer, byteOffset, byteLength);
    }
  }
}

/** Restores every tensor. Throws `PpoStateError`, and writes nothing, if the bytes do not fit these stores. */
export async function restoreTensors(stores: readonly StateStore[], bytes: Uint8Array): Promise<void> {
  const sizes: { store: StateStore; name: string; length: number }[] = [];
  for (const store of stores)
    for (const name of store.names) sizes.push({ store, name, length: (await store.read(name)).length });
  const expected = 4 * sizes.reduce((total, { length }) => total + length, 0);
  if (bytes.length !== expected)
    throw new PpoStateError(
      `the saved state has ${bytes.length} bytes of tensors; this model and its moments have ${expected}: it belongs to another model`,
    );
  // Uint8Array.from copies, so the floats are aligned; `slice` of a Buffer would not copy.
  const floats = new Float32Array(Uint8Array.from(bytes).buffer);
  let at = 0;
  for (const { store, name, length } of sizes) {
    await store.write(name, floats.slice(at, at + length));
    at += length;
  }
}

/** Parses a saved state. Throws `PpoStateError` if no trainer saved it. */
export function parseProgress(state: unknown): PpoProgress {
  const parsed = PpoProgress.safeParse(state);
  if (!parsed.success) throw new PpoStateError(`not the state of a PPO run: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}
