import type { FileHandle } from "node:fs/promises";
import { endianness } from "node:os";
import { InternalError, invariant, LfpError } from "../../common/errors.ts";
import { bf16ToF32, f16ToF32, firstNonFinite, firstNonFiniteHalf } from "../../common/floats.loops.ts";
import { openRegular, refuseLfsPointer } from "../../common/text-file.ts";
import type { FixedEntry } from "../../engine/device.ts";
import {
  ModelFileError,
  NonFiniteTensorError,
  SafetensorsError,
  TensorDtypeError,
  TensorNotFoundError,
} from "./errors.ts";
import { PREFIX_BYTES, parseHeader, parseHeaderLength, type SafetensorsHeader, type TensorInfo } from "./header.ts";

/** Named tensors that are read one at a time: a file, or a checkpoint of several. */
export interface TensorSource extends AsyncDisposable {
  /** The file, or the folder of a checkpoint. */
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
  /**
   * The tensor's values in row-major order, F16 and BF16 widened exactly. Infinities and NaNs are returned as they are
   * unless `requireFinite` is set. Throws `TensorNotFoundError`, `TensorDtypeError`, `NonFiniteTensorError`, and
   * `SafetensorsError` if the file has changed since it was opened.
   */
  readFloat32(name: string, options?: { readonly requireFinite?: boolean }): Promise<Float32Array<ArrayBuffer>>;
  /** The values as the file holds them, F16 and BF16 as their bits; all must be finite. Throws as `readFloat32` does. */
  readStored(name: string): Promise<StoredValues>;
  /** The tensor's bytes as they are in the file, whatever its dtype. Throws as `readFloat32` does. */
  readBytes(name: string): Promise<Uint8Array<ArrayBuffer>>;
  /** Closes the file; reading afterwards is a defect. */
  close(): Promise<void>;
}

/** A tensor's values in row-major order as a device may hold them; see `FixedEntry`. */
export type StoredValues = Pick<FixedEntry, "stored" | "values">;

/**
 * Opens a safetensors file and checks its whole header; each tensor is read on demand and takes no more memory than it
 * needs. Throws `ModelFileError` and, for a file that breaks any rule of the format, `SafetensorsError`.
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const handle = await openRegular(path).catch((cause) => Promise.reject(new ModelFileError(path, cause)));
  try {
    await refuseLfsPointer(handle, path);
    const stamp = await stampOf(handle);
    const fileBytes = Number(stamp.size);
    const prefix = Buffer.alloc(Math.min(PREFIX_BYTES, fileBytes));
    await readInto(handle, prefix, 0, path);
    const header = Buffer.alloc(parseHeaderLength(prefix, fileBytes, path));
    await readInto(handle, header, PREFIX_BYTES, path);
    return new SafetensorsFile(path, handle, stamp, parseHeader(header, fileBytes, path));
  } catch (error) {
    await handle.close();
    throw error instanceof LfpError ? error : new ModelFileError(path, error);
  }
}

/** An open safetensors file; see `openSafetensors`. */
export class SafetensorsFile implements TensorSource {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly #handle: FileHandle;
  readonly #stamp: Stamp;

  constructor(path: string, handle: FileHandle, stamp: Stamp, header: SafetensorsHeader) {
    this.path = path;
    this.tensors = header.tensors;
    this.metadata = header.metadata;
    this.#handle = handle;
    this.#stamp = stamp;
  }

  async readFloat32(
    name: string,
    options: { readonly requireFinite?: boolean } = {},
  ): Promise<Float32Array<ArrayBuffer>> {
    const info = this.#info(name);
    const { dtype, byteStart, byteEnd } = info;
    if (dtype !== "F32" && dtype !== "F16" && dtype !== "BF16") throw new TensorDtypeError(this.path, name, dtype);
    invariant(endianness() === "LE", "weights are read in place, which needs a little-endian machine");

    const values = new Float32Array((byteEnd - byteStart) / (dtype === "F32" ? 4 : 2));
    if (dtype === "F32") await this.#read(new Uint8Array(values.buffer), byteStart);
    else await this.#readHalves(info, dtype === "F16" ? f16ToF32 : bf16ToF32, values);

    const bad = options.requireFinite ? firstNonFinite(values) : -1;
    if (bad >= 0) throw new NonFiniteTensorError(this.path, name, bad, values[bad] ?? Number.NaN);
    return values;
  }

  async readStored(name: string): Promise<StoredValues> {
    const { dtype } = this.#info(name);
    if (dtype !== "F16" && dtype !== "BF16")
      return { stored: "f32", values: await this.readFloat32(name, { requireFinite: true }) };
    const values = new Uint16Array((await this.readBytes(name)).buffer);
    const stored = dtype === "F16" ? "f16" : "bf16";
    const bad = firstNonFiniteHalf(values, stored);
    if (bad >= 0) throw new NonFiniteTensorError(this.path, name, bad, await this.#valueAt(name, bad));
    return { stored, values };
  }

  async readBytes(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const { byteStart, byteEnd } = this.#info(name);
    const bytes = new Uint8Array(byteEnd - byteStart);
    await this.#read(bytes, byteStart);
    return bytes;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #valueAt(name: string, index: number): Promise<number> {
    return (await this.readFloat32(name))[index] ?? Number.NaN;
  }

  #info(name: string): TensorInfo {
    const info = this.tensors.get(name);
    if (info === undefined) throw new TensorNotFoundError(this.path, name, this.tensors);
    return info;
  }

  /** Reads half-precision values in chunks, so that the narrow copy never exists whole beside the wide one. */
  async #readHalves(info: TensorInfo, widen: typeof f16ToF32, values: Float32Array): Promise<void> {
    const piece = new Uint16Array(Math.min(values.length, PIECE_BYTES / 2));
    for (let at = 0; at < values.length; at += piece.length) {
      const halves = piece.subarray(0, values.length - at);
      await this.#read(new Uint8Array(halves.buffer, 0, halves.byteLength), info.byteStart + 2 * at);
      widen(halves, values, at);
    }
  }

  async #read(target: Uint8Array, position: number): Promise<void> {
    if (this.#handle.fd < 0) throw new InternalError(`internal error: ${this.path} is read after it was closed`);
    try {
      await readInto(this.#handle, target, position, this.path);
      const stamp = await stampOf(this.#handle);
      if (stamp.size !== this.#stamp.size || stamp.mtimeNs !== this.#stamp.mtimeNs) {
        throw new SafetensorsError(this.path, "changed-while-open", "something wrote to it while it was being read");
      }
    } catch (error) {
      throw error instanceof LfpError ? error : new ModelFileError(this.path, error);
    }
  }
}

/** Identifies a version of a file, to detect changes. */
interface Stamp {
  readonly size: bigint;
  readonly mtimeNs: bigint;
}

const PIECE_BYTES = 1 << 22;

/** Maximum of one read call, below the operating systems' limit of 2 GiB. */
const READ_BYTES = 1 << 28;

async function stampOf(handle: FileHandle): Promise<Stamp> {
  const { size, mtimeNs } = await handle.stat({ bigint: true });
  return { size, mtimeNs };
}

async function readInto(handle: FileHandle, target: Uint8Array, position: number, path: string): Promise<void> {
  for (let done = 0; done < target.byteLength; ) {
    const length = Math.min(READ_BYTES, target.byteLength - done);
    const { bytesRead } = await handle.read(target, done, length, position + done);
    if (bytesRead === 0)
      throw new SafetensorsError(path, "changed-while-open", "it was cut short while it was being read");
    done += bytesRead;
  }
}
