import { type ErrorCode, LfpError, messageOf } from "../../common/errors.ts";

/** The rules of the format that a file can break; see `SafetensorsError`. */
export type SafetensorsRule =
  /** The file has fewer than the 8 bytes of the header's length. */
  | "header-too-small"
  /** A header of over 100,000,000 bytes. */
  | "header-too-large"
  /** The header would reach past the end of the file. */
  | "header-length"
  | "utf8"
  /** The header does not start with `{`. */
  | "json-start"
  /** The header is not JSON, or not of the shape that the format prescribes. */
  | "json"
  | "duplicate-key"
  | "metadata-value"
  | "unknown-field"
  | "missing-field"
  | "unknown-dtype"
  /** A length or offset is negative, fractional or no number at all. */
  | "not-a-count"
  /** A length or offset is over 2^53 - 1. */
  | "count-too-large"
  | "too-many-dimensions"
  | "too-many-entries"
  /** The tensor's size in bits, from its shape and dtype, is over 2^64 - 1. */
  | "size-overflow"
  /** A dtype of less than a byte fills no whole number of bytes. */
  | "misaligned"
  /** The byte range is not what shape and dtype need. */
  | "size-mismatch"
  /** Holes, overlaps or reversed ranges. */
  | "not-contiguous"
  /** The tensors do not end where the file ends: it was cut short, or something was appended. */
  | "data-length"
  | "changed-while-open";

/** A file that is not a sound safetensors file; `rule` says which rule of the format it breaks. */
export class SafetensorsError extends LfpError {
  readonly code = "input";
  readonly path: string;
  readonly rule: SafetensorsRule;

  constructor(path: string, rule: SafetensorsRule, detail: string) {
    const advice = rule === "changed-while-open" ? "Open it again." : "Download or save the file again.";
    super(`${path} is not a sound safetensors file (${rule}): ${detail}. ${advice}`);
    this.path = path;
    this.rule = rule;
  }
}

/** A model file or folder that is missing, or that the operating system does not let us read or write. */
export class ModelFileError extends LfpError {
  readonly code: ErrorCode;
  readonly path: string;

  constructor(path: string, cause: unknown) {
    const missing = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
    super(
      missing
        ? `${path} does not exist. Check the path.`
        : `${path} cannot be used: ${messageOf(cause)}. Check its permissions and the disk.`,
      { cause },
    );
    this.code = missing ? "not-found" : cause instanceof LfpError ? cause.code : "resource";
    this.path = path;
  }
}

/** The file or checkpoint has no tensor of the requested name. */
export class TensorNotFoundError extends LfpError {
  readonly code = "not-found";
  readonly tensor: string;

  constructor(path: string, tensor: string, held: ReadonlyMap<string, unknown>) {
    const some = [...held.keys()].slice(0, 5).map(shown).join(", ");
    super(
      `${path} holds no tensor ${shown(tensor)}. It holds ${held.size}${held.size > 0 ? `, such as ${some}` : ""}. ` +
        "Check that the checkpoint is of the architecture that its config.json names.",
    );
    this.tensor = tensor;
  }
}

/** A tensor to be read as floats has another dtype (booleans, integers, quantised weights). */
export class TensorDtypeError extends LfpError {
  readonly code = "input";

  constructor(path: string, tensor: string, dtype: string) {
    super(
      `tensor ${shown(tensor)} of ${path} is ${dtype}, and only F32, F16 and BF16 are read as numbers. ` +
        "Save the checkpoint in one of these.",
    );
  }
}

/** A weight is NaN or infinite. */
export class NonFiniteTensorError extends LfpError {
  readonly code = "non-finite";
  readonly tensor: string;

  constructor(path: string, tensor: string, index: number, value: number) {
    super(
      `element ${index} of tensor ${shown(tensor)} in ${path} is ${value}; weights must be finite. ` +
        "The checkpoint was saved after a divergence, or is damaged: use an earlier one.",
    );
    this.tensor = tensor;
  }
}

/** A name as a message shows it: quoted, control characters escaped, cut when it is long. */
export function shown(name: string): string {
  return name.length <= 100 ? JSON.stringify(name) : `${JSON.stringify(name.slice(0, 100))}…`;
}
