import { type ErrorCode, messageOf } from "../common/errors.ts";
import { knownError } from "../common/system-errors.ts";

/** How a command can end. Every status except `ok` and `requeue` is an error's code. */
export type ExitStatus = ErrorCode | "ok" | "requeue";

/** The exit codes of `lfp`, defined only here. Help and docs/cli.md show this table. */
export const exitCodes: { readonly [K in ExitStatus]: { readonly code: number; readonly meaning: string } } = {
  ok: { code: 0, meaning: "done" },
  internal: { code: 1, meaning: "a defect in lfp" },
  usage: { code: 2, meaning: "a wrong command, option or setting" },
  input: { code: 3, meaning: "a file, model or text that cannot be used" },
  "not-found": { code: 4, meaning: "something that does not exist" },
  "non-finite": { code: 5, meaning: "numbers became NaN or infinite" },
  resource: { code: 6, meaning: "the machine lacks memory, disk, a device, a network or a newer Node" },
  locked: { code: 7, meaning: "another process holds what was asked for" },
  requeue: { code: 75, meaning: "stopped early, but saved: the same command goes on from there" },
  cancelled: { code: 130, meaning: "stopped because someone asked (Ctrl-C)" },
};

/** A failure, as reported to people, scripts and the shell. */
export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  /** For `LFP_DEBUG=1`. */
  readonly stack: string;
}

/** Converts anything thrown to a failure. An unknown error counts as a bug of ours. */
export function failureOf(error: unknown, cancelled: boolean): Failure {
  const stack = error instanceof Error && error.stack !== undefined ? error.stack : String(error);
  const message = messageOf(error);
  // Any error that a stopped command throws is due to the stop.
  if (cancelled) return { code: "cancelled", message: "cancelled", stack };
  const known = knownError(error);
  if (known !== undefined) return { code: known.code, message: known.message, stack };
  return {
    code: "internal",
    message: `a defect in lfp: ${message}. LFP_DEBUG=1 shows where; please report it`,
    stack,
  };
}
