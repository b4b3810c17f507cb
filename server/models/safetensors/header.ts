import { isUtf8 } from "node:buffer";
import { DTYPE_BITS, type Dtype, isDtype } from "./dtypes.ts";
import { SafetensorsError, type SafetensorsRule, shown } from "./errors.ts";
import { HeaderScanner } from "./scanner.ts";

/** A tensor's entry in the header. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: Dtype;
  /** Lengths of the dimensions, outermost first; empty for a scalar. */
  readonly shape: readonly number[];
  /** Where its bytes start in the file. */
  readonly byteStart: number;
  /** Where they end, exclusive. */
  readonly byteEnd: number;
}

/** A checked header: its tensors, in its order, tile the file from the header's end without hole or overlap. */
export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
}

/** The header's length in bytes comes first, as an unsigned little-endian number of this many bytes. */
export const PREFIX_BYTES = 8;

/** The format's own limit. */
export const MAX_HEADER_BYTES = 100_000_000;

/** Our own limit, far above real files: many tiny entries could otherwise exhaust memory (about 1 kB each). */
export const MAX_ENTRIES = 1 << 16;

/** PyTorch's limit. */
const MAX_DIMENSIONS = 64;

/** The key that holds text about the file instead of a tensor. */
export const METADATA_KEY = "__metadata__";

/** The header's length from the first bytes of a file of `fileBytes` bytes. Throws `SafetensorsError`. */
export function parseHeaderLength(prefix: Buffer, fileBytes: number, path: string): number {
  if (prefix.length < PREFIX_BYTES || fileBytes < PREFIX_BYTES) {
    throw new SafetensorsError(path, "header-too-small", `it has ${fileBytes} bytes, and the header's length takes 8`);
  }
  const length = prefix.readBigUInt64LE(0);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw new SafetensorsError(
      path,
      "header-too-large",
      `its header would have ${length} bytes, and 100000000 is the most`,
    );
  }
  if (PREFIX_BYTES + Number(length) > fileBytes) {
    throw new SafetensorsError(
      path,
      "header-length",
      `its header would have ${length} bytes, and the file has ${fileBytes}`,
    );
  }
  return Number(length);
}

/**
 * Reads and checks the JSON header of a file of `fileBytes` bytes. Beyond what the format's own reader checks, it
 * refuses duplicate keys and unknown fields, which other readers may interpret differently. Throws
 * `SafetensorsError`. Format: https://github.com/huggingface/safetensors#format
 */
export function parseHeader(header: Buffer, fileBytes: number, path: string): SafetensorsHeader {
  if (!isUtf8(header)) throw new SafetensorsError(path, "utf8", "its header is not UTF-8");
  if (header[0] !== "{".charCodeAt(0))
    throw new SafetensorsError(path, "json-start", "its header does not start with {");

  const dataStart = PREFIX_BYTES + header.length;
  const scanner = new HeaderScanner(header, path);
  const tensors = new Map<string, TensorInfo>();
  let metadata: Map<string, string> | undefined;
  scanner.object((key) => {
    if (key === METADATA_KEY ? metadata !== undefined : tensors.has(key)) {
      scanner.fail("duplicate-key", `${shown(key)} appears twice`);
    }
    if (key === METADATA_KEY) metadata = parseMetadata(scanner);
    else tensors.set(key, parseTensor(scanner, key, dataStart));
    if (tensors.size > MAX_ENTRIES) scanner.fail("too-many-entries", `more than ${MAX_ENTRIES} tensors`);
  });
  scanner.end();

  checkLayout(tensors, dataStart, fileBytes, path);
  return { tensors, metadata: metadata ?? new Map() };
}

function parseMetadata(scanner: HeaderScanner): Map<string, string> {
  const metadata = new Map<string, string>();
  scanner.object((key) => {
    if (metadata.has(key)) scanner.fail("duplicate-key", `metadata ${shown(key)} appears twice`);
    metadata.set(key, scanner.string(`text as metadata ${shown(key)}`, "metadata-value"));
    if (metadata.size > MAX_ENTRIES) scanner.fail("too-many-entries", `more than ${MAX_ENTRIES} metadata entries`);
  });
  return metadata;
}

function parseTensor(scanner: HeaderScanner, name: string, dataStart: number): TensorInfo {
  let dtype: Dtype | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  const once = (earlier: unknown, field: string) => {
    if (earlier !== undefined) scanner.fail("duplicate-key", `${field} of tensor ${shown(name)} appears twice`);
  };
  scanner.object((field) => {
    if (field === "dtype") {
      once(dtype, field);
      const given = scanner.string(`the dtype of ${shown(name)}`);
      if (!isDtype(given)) scanner.fail("unknown-dtype", `tensor ${shown(name)} has the dtype ${shown(given)}`);
      dtype = given;
    } else if (field === "shape") {
      once(shape, field);
      shape = scanner.counts(MAX_DIMENSIONS);
    } else if (field === "data_offsets") {
      once(offsets, field);
      offsets = scanner.counts(MAX_DIMENSIONS);
    } else scanner.fail("unknown-field", `tensor ${shown(name)} has a field ${shown(field)}`);
  });
  if (dtype === undefined || shape === undefined || offsets === undefined) {
    scanner.fail("missing-field", `tensor ${shown(name)} lacks one of dtype, shape and data_offsets`);
  }
  const [begin, end] = offsets;
  if (begin === undefined || end === undefined || offsets.length !== 2) {
    scanner.fail("json", `data_offsets of tensor ${shown(name)} are ${offsets.length} numbers and must be 2`);
  }
  return { name, dtype, shape, byteStart: dataStart + begin, byteEnd: dataStart + end };
}

/** Checks that the tensors tile the bytes after the header, each range as long as shape and dtype imply. */
function checkLayout(
  tensors: ReadonlyMap<string, TensorInfo>,
  dataStart: number,
  fileBytes: number,
  path: string,
): void {
  const inFileOrder = [...tensors.values()].sort((a, b) => a.byteStart - b.byteStart || a.byteEnd - b.byteEnd);
  let expectedStart = dataStart;
  for (const tensor of inFileOrder) {
    checkTensor(tensor, expectedStart, dataStart, path);
    expectedStart = tensor.byteEnd;
  }
  if (expectedStart !== fileBytes) {
    const difference = fileBytes - expectedStart;
    const detail =
      difference < 0 ? `${-difference} bytes are missing at its end` : `${difference} bytes follow the last tensor`;
    throw new SafetensorsError(path, "data-length", detail);
  }
}

/** Checks that a tensor's range starts where the previous one ends, and is as long as shape and dtype imply. */
function checkTensor(tensor: TensorInfo, expectedStart: number, dataStart: number, path: string): void {
  const { name, dtype, shape, byteStart, byteEnd } = tensor;
  const error = (rule: SafetensorsRule, detail: string) => {
    const range = `bytes ${byteStart - dataStart} to ${byteEnd - dataStart} of the data`;
    return new SafetensorsError(path, rule, `tensor ${shown(name)}, at ${range}, ${detail}`);
  };
  if (byteStart !== expectedStart || byteEnd < byteStart) {
    throw error("not-contiguous", `does not follow the tensor before it, which ends at ${expectedStart - dataStart}`);
  }
  const bits = bitsOf(tensor);
  if (bits === undefined) throw error("size-overflow", `has a shape of over 2^64 bits, [${shape}]`);
  if (bits % 8n !== 0n) throw error("misaligned", `is [${shape}] of ${dtype}, which fills no whole number of bytes`);
  if (bits / 8n !== BigInt(byteEnd - byteStart)) {
    throw error("size-mismatch", `is [${shape}] of ${dtype}, which needs ${bits / 8n} bytes`);
  }
}

/** The tensor's size in bits; undefined if multiplying the dimensions left to right would overflow 64 bits. */
function bitsOf({ dtype, shape }: TensorInfo): bigint | undefined {
  let elements = 1n;
  for (const length of shape) {
    elements *= BigInt(length);
    if (elements >= 1n << 64n) return undefined;
  }
  const bits = elements * BigInt(DTYPE_BITS[dtype]);
  return bits >= 1n << 64n ? undefined : bits;
}
