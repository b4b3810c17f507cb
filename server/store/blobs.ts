/** Number arrays in the store's format: little-endian, without padding. */
import { endianness } from "node:os";
import { invariant } from "../common/errors.ts";

export function floatsToBlob(values: Float32Array): Uint8Array {
  return bytesOf(values);
}

export function countsToBlob(values: Uint32Array): Uint8Array {
  return bytesOf(values);
}

/** Returns a copy, because a blob need not be aligned for floats. */
export function blobToFloats(blob: Uint8Array): Float32Array {
  return new Float32Array(Uint8Array.from(blob).buffer);
}

export function blobToCounts(blob: Uint8Array): Uint32Array {
  return new Uint32Array(Uint8Array.from(blob).buffer);
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array | Uint32Array): Uint8Array {
  invariant(endianness() === "LE", "numbers are stored as they stand in memory, which needs a little-endian machine");
  return new Uint8Array(buffer, byteOffset, byteLength);
}
