/** A trainer's state as plain data and bytes, in the form in which a stage of the pipeline saves its checkpoints. */
import { endianness } from "node:os";
import { z } from "zod";
import { invariant } from "../common/errors.ts";
import type { StateStore } from "../engine/device.ts";
import { PpoStateError } from "./ppo-errors.ts";

const randomState = z.tuple([z.int(), z.int(), z.int(), z.int()]).readonly();

/** What a trainer knows beside its tensors. */
export const PpoProgress = z
  .strictObject({
    /** PPO steps that are done. */
    steps: z.int().nonnegative(),
    /** Mini-batches that are done: AdamW's step number. */
    optimizerSteps: z.int().nonnegative(),
    klCoefficient: z.number().nonnegative(),
    /** Decides the order of prompts. */
    seed: randomState,
    /** Where the stream of lengths, samples and mini-batches stands. */
    random: randomState,
  })
  .readonly();
export type PpoProgress = z.infer<typeof PpoProgress>;

/** To be written down before the trainer goes on: tensors are read from the device as they are asked for. */
export interface PpoState {
  readonly state: PpoProgress;
  readonly files: { readonly [tensorsFile]: AsyncIterable<Uint8Array> };
}

/** A saved state: `read` gives the bytes of a file. */
export interface SavedPpoState {
  readonly state: unknown;
  read(name: string): Promise<Uint8Array>;
}

/** Weights, value head and moments, one after the other as little-endian float32, in the order of the stores' names. */
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

/** Writes every tensor back. Throws `PpoStateError` when the bytes are not those of these stores; nothing is written then. */
export async function restoreTensors(stores: readonly StateStore[], bytes: Uint8Array): Promise<void> {
  const sizes: { store: StateStore; name: string; length: number }[] = [];
  for (const store of stores)
    for (const name of store.names) sizes.push({ store, name, length: (await store.read(name)).length });
  const expected = 4 * sizes.reduce((total, { length }) => total + length, 0);
  if (bytes.length !== expected)
    throw new PpoStateError(
      `the saved state has ${bytes.length} bytes of tensors; this model and its moments have ${expected}: it belongs to another model`,
    );
  // A copy begins at an offset that floats can be read from; a Buffer's own slice would be no copy.
  const floats = new Float32Array(Uint8Array.from(bytes).buffer);
  let at = 0;
  for (const { store, name, length } of sizes) {
    await store.write(name, floats.slice(at, at + length));
    at += length;
  }
}

/** Throws `PpoStateError` when this is not what a trainer saved. */
export function parseProgress(state: unknown): PpoProgress {
  const parsed = PpoProgress.safeParse(state);
  if (!parsed.success) throw new PpoStateError(`not the state of a PPO run: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}
