/** A trainer's tensors as bytes, in the form in which a stage of the pipeline saves its checkpoints; for every kind of tuning. */
import { endianness } from "node:os";
import { invariant } from "../common/errors.ts";
import type { StateStore } from "../engine/device.ts";
import { TrainerStateError } from "./tuning-errors.ts";

/** A saved state: `read` returns the bytes of a file. */
export interface SavedState {
  readonly state: unknown;
  read(name: string): Promise<Uint8Array>;
}

/** File of a trainer's stores, concatenated as little-endian float32, in the order of the stores' names. */
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

/** Restores every tensor. Throws `TrainerStateError`, and writes nothing, if the bytes do not fit these stores. */
export async function restoreTensors(stores: readonly StateStore[], bytes: Uint8Array): Promise<void> {
  const sizes: { store: StateStore; name: string; length: number }[] = [];
  for (const store of stores)
    for (const name of store.names) sizes.push({ store, name, length: (await store.read(name)).length });
  const expected = 4 * sizes.reduce((total, { length }) => total + length, 0);
  if (bytes.length !== expected)
    throw new TrainerStateError(
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
