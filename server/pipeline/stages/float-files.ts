/** Tensors as files of a checkpoint: little-endian float32. */
import { endianness } from "node:os";
import { invariant } from "../../common/errors.ts";
import type { Checkpoint } from "../stage.ts";

export function floatFiles(tensors: Readonly<Record<string, Float32Array>>): Record<string, Uint8Array> {
  invariant(endianness() === "LE", "tensors are saved as they stand in memory, which needs a little-endian machine");
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { buffer, byteOffset, byteLength }]) => [
      `${name}.f32`,
      new Uint8Array(buffer, byteOffset, byteLength),
    ]),
  );
}

/** What `floatFiles` saved, by name. */
export async function readFloatFiles(checkpoint: Checkpoint): Promise<Record<string, Float32Array<ArrayBuffer>>> {
  const tensors: Record<string, Float32Array<ArrayBuffer>> = {};
  for (const file of checkpoint.fileNames) {
    if (!file.endsWith(".f32")) continue;
    // A copy begins at an offset that floats can be read from.
    tensors[file.slice(0, -4)] = new Float32Array((await checkpoint.read(file)).slice().buffer);
  }
  return tensors;
}
