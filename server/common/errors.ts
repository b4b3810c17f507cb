/**
 * Base of every error that a user can cause or fix. The message says what was got, what was expected and what to do;
 * `code` is sent over the wire, and `lfp` maps it to its exit status.
 */
export abstract class LfpError extends Error {
  abstract readonly code: ErrorCode;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** What a caller can do about a failure; one word each, stable across versions. */
export type ErrorCode =
  /** A command, option or setting is wrong. */
  | "usage"
  /** A file, checkpoint or text that was given cannot be used. */
  | "input"
  /** Something requested does not exist. */
  | "not-found"
  /** Numbers left the finite range. */
  | "non-finite"
  /** The machine lacks something: memory, disk, a device, a network. */
  | "resource"
  /** Another process holds the requested resource. */
  | "locked"
  /** Someone asked to stop. */
  | "cancelled"
  /** A bug: an invariant of this program is violated. */
  | "internal";

/** An invariant of the program is violated: always a bug here, never the user's error. */
export class InternalError extends LfpError {
  readonly code = "internal";
}

/** Throws `InternalError` unless the condition holds. */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InternalError(`internal error: ${message}`);
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
