/** Layout of long-lived tensors: contiguous, in as few buffers (arenas) as the adapter's limits allow. */
import type { StoredAs } from "../device.ts";
import { DeviceError } from "../errors.ts";
import { type Shape, sizeOf } from "../graph.ts";
import { aligned, type BindingLimits, bytesOf, sizeText } from "./values.ts";

export interface ArenaPlace {
  /** The index of the arena, and the offset in it, in bytes. */
  readonly arena: number;
  readonly offset: number;
}

export interface ArenaLayout {
  /** Bytes of each arena. */
  readonly arenas: readonly number[];
  /** In the order of the entries. */
  readonly places: readonly ArenaPlace[];
}

/**
 * Assigns entries to arenas. An arena is no larger than one binding, so that kernels can address all of it; a larger
 * entry gets an arena of its own, which kernels bind in windows. Throws `DeviceError` for an entry larger than any
 * buffer.
 */
export function layOut(
  entries: readonly { readonly name: string; readonly shape: Shape; readonly stored?: StoredAs | undefined }[],
  { bytes: most, bufferBytes }: BindingLimits,
): ArenaLayout {
  const arenas: number[] = [];
  const places: ArenaPlace[] = [];
  for (const { name, shape, stored } of entries) {
    const bytes = aligned(bytesOf({ size: sizeOf(shape), stored }));
    if (bytes > bufferBytes)
      throw new DeviceError(
        `${name} [${shape.join(", ")}] takes ${sizeText(bytes)}, but a buffer of this GPU holds ${sizeText(bufferBytes)} at most: compute on the CPU, or take a model with a smaller vocabulary`,
      );
    const last = arenas.length - 1;
    const end = arenas[last];
    if (end === undefined || end + bytes > Math.min(most, bufferBytes)) {
      arenas.push(bytes);
      places.push({ arena: last + 1, offset: 0 });
    } else {
      arenas[last] = end + bytes;
      places.push({ arena: last, offset: end });
    }
  }
  return { arenas, places };
}
