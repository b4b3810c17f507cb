import { endianness } from "node:os";
import { writeFileAtomically } from "../../common/atomic-file.ts";
import { invariant, LfpError } from "../../common/errors.ts";
import { f32ToBf16, f32ToF16 } from "../../common/floats.loops.ts";
import { shown } from "./errors.ts";
import { MAX_ENTRIES, MAX_HEADER_BYTES, METADATA_KEY, PREFIX_BYTES } from "./header.ts";

/** A tensor to be saved. */
export interface TensorToWrite {
  readonly name: string;
  /** The stored dtype. */
  readonly dtype: "F32" | "F16" | "BF16";
  /** Lengths of the dimensions, outermost first; empty for a scalar. */
  readonly shape: readonly number[];
  /** Row-major values, as many as the shape holds. */
  readonly data: Float32Array;
}

/** Tensors that no safetensors file can hold. */
export class TensorNotWritableError extends LfpError {
  readonly code = "input";

  constructor(path: string, detail: string) {
    super(`${path} is not written: ${detail}.`);
  }
}

/** A finite value would become infinite in the narrower type it is to be stored as. */
export class TensorOverflowError extends LfpError {
  readonly code = "non-finite";

  constructor(path: string, { name, dtype, data }: TensorToWrite, index: number) {
    super(
      `${path} is not written: element ${index} of tensor ${shown(name)} is ${data[index]}, which ${dtype} cannot hold. ` +
        "Save it as F32.",
    );
  }
}

/**
 * Saves tensors as a safetensors file, atomically: an existing file, even one that is open for reading, is replaced
 * only at the end. F16 and BF16 are rounded to nearest, ties to even. Values are converted in chunks as they are
 * written. The bytes equal those of Python's `safetensors.torch.save_file`; transformers requires the metadata `{
 * format: "pt" }` of a checkpoint.
 *
 * Throws `TensorNotWritableError`, `TensorOverflowError` and what `writeFileAtomically` throws.
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = { format: "pt" },
): Promise<void> {
  invariant(endianness() === "LE", "weights are written in place, which needs a little-endian machine");
  const ordered = checkedAndOrdered(path, tensors);
  const header = headerOf(path, ordered, metadata);
  await writeFileAtomically(path, contents());

  function* contents() {
    yield header;
    for (const tensor of ordered) yield* bytesOf(path, tensor);
  }
}

/** Orders tensors as Python does: wider types first, so that each is aligned to its element size, then by name. */
function checkedAndOrdered(path: string, tensors: readonly TensorToWrite[]): readonly TensorToWrite[] {
  const names = new Set<string>();
  for (const { name, shape, data } of tensors) {
    const refuse = (detail: string) => new TensorNotWritableError(path, `tensor ${shown(name)} ${detail}`);
    if (names.has(name)) throw refuse("is given twice");
    if (name === METADATA_KEY || !name.isWellFormed()) throw refuse("has a name that the format does not allow");
    if (!shape.every((length) => Number.isSafeInteger(length) && length >= 0)) {
      throw refuse(`has the shape [${shape}], and lengths are integers from 0`);
    }
    const elements = shape.reduce((product, length) => product * length, 1);
    if (elements !== data.length) throw refuse(`has ${data.length} values, and the shape [${shape}] needs ${elements}`);
    names.add(name);
  }
  if (tensors.length > MAX_ENTRIES)
    throw new TensorNotWritableError(path, `it would hold ${tensors.length} tensors, and ${MAX_ENTRIES} is the most`);
  const rank = { F32: 0, BF16: 1, F16: 2 } as const;
  return [...tensors].sort(
    (a, b) => rank[a.dtype] - rank[b.dtype] || Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)),
  );
}

function headerOf(path: string, tensors: readonly TensorToWrite[], metadata: Readonly<Record<string, string>>): Buffer {
  const entries =
    Object.keys(metadata).length > 0 ? [`${JSON.stringify(METADATA_KEY)}:${JSON.stringify(metadata)}`] : [];
  let end = 0;
  for (const { name, dtype, shape, data } of tensors) {
    const begin = end;
    end += data.length * BYTES[dtype];
    entries.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, end] })}`);
  }
  const json = Buffer.from(`{${entries.join(",")}}`);
  const length = Math.ceil(json.length / 8) * 8;
  if (length > MAX_HEADER_BYTES)
    throw new TensorNotWritableError(
      path,
      `its header would have ${length} bytes, and ${MAX_HEADER_BYTES} is the most`,
    );
  const header = Buffer.alloc(PREFIX_BYTES + length, " ");
  header.writeBigUInt64LE(BigInt(length));
  json.copy(header, PREFIX_BYTES);
  return header;
}

/** The tensor's bytes in chunks. The chunks of a converted tensor share one buffer, refilled each time. */
function* bytesOf(path: string, tensor: TensorToWrite): Generator<Uint8Array> {
  const { data, dtype } = tensor;
  const converted = new Uint16Array(dtype === "F32" ? 0 : Math.min(data.length, PIECE_ELEMENTS));
  for (let at = 0; at < data.length; at += PIECE_ELEMENTS) {
    const values = data.subarray(at, at + PIECE_ELEMENTS);
    if (dtype === "F32") {
      yield new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      continue;
    }
    const overflow = dtype === "F16" ? f32ToF16(values, converted) : f32ToBf16(values, converted);
    if (overflow >= 0) throw new TensorOverflowError(path, tensor, at + overflow);
    yield new Uint8Array(converted.buffer, 0, 2 * values.length);
  }
}

const BYTES = { F32: 4, F16: 2, BF16: 2 } as const;
const PIECE_ELEMENTS = 1 << 21;
