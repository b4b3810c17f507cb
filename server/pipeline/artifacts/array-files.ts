/** Typed arrays as files of a checkpoint: little-endian float32, float64 and uint32. */
import { endianness } from "node:os";
import { invariant } from "../../common/errors.ts";
import type { Checkpoint } from "../../runs/stage.ts";

/** Files by name, with an extension for the type: `f32`, `f64` or `u32`. They are views of the arrays, not copies. */
export function arrayFiles(
  arrays: Readonly<Record<string, Float32Array | Float64Array | Uint32Array>>,
): Record<string, Uint8Array> {
  invariant(endianness() === "LE", "numbers are saved as they stand in memory, which needs a little-endian machine");
  return Object.fromEntries(
    Object.entries(arrays).map(([name, array]) => [
      `${name}.${endingOf(array)}`,
      new Uint8Array(array.buffer, array.byteOffset, array.byteLength),
    ]),
  );
}

/** The float32 arrays that `arrayFiles` saved, by name. */
export function readFloats(checkpoint: Checkpoint): Promise<Record<string, Float32Array<ArrayBuffer>>> {
  return readAll(checkpoint, ".f32", (bytes) => new Float32Array(bytes));
}

/** The float64 arrays that `arrayFiles` saved, by name. */
export function readDoubles(checkpoint: Checkpoint): Promise<Record<string, Float64Array<ArrayBuffer>>> {
  return readAll(checkpoint, ".f64", (bytes) => new Float64Array(bytes));
}

/** The uint32 arrays that `arrayFiles` saved, by name. */
export function readCounts(checkpoint: Checkpoint): Promise<Record<string, Uint32Array<ArrayBuffer>>> {
  return readAll(checkpoint, ".u32", (bytes) => new Uint32Array(bytes));
}

function endingOf(array: Float32Array | Float64Array | Uint32Array): string {
  if (array instanceof Float32Array) return "f32";
  return array instanceof Float64Array ? "f64" : "u32";
}

async function readAll<A>(
  checkpoint: Checkpoint,
  ending: string,
  arrayOf: (bytes: ArrayBuffer) => A,
): Promise<Record<string, A>> {
  const arrays: Record<string, A> = {};
  for (const file of checkpoint.fileNames) {
    if (!file.endsWith(ending)) continue;
    // A copy starts at an aligned offset, as typed arrays need.
    arrays[file.slice(0, -ending.length)] = arrayOf(Uint8Array.from(await checkpoint.read(file)).buffer);
  }
  return arrays;
}
