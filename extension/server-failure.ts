import * as z from "zod";
import { WireFailure } from "../server/protocol/failure.ts";

/** Why the server failed a request. `message` is for people. */
export class ServerFailure extends Error {
  readonly code: WireFailure["code"];

  constructor({ code, message }: WireFailure, cause: unknown) {
    super(message, { cause });
    this.name = "ServerFailure";
    this.code = code;
  }
}

/** Converts any error of a request into a `ServerFailure`. */
export function serverFailure(error: unknown, method: string): ServerFailure {
  if (error instanceof ServerFailure) return error;
  const response = errorResponse.safeParse(error).data;
  if (response?.data !== undefined) return new ServerFailure(response.data, error);
  const code = codesByLspError.get(response?.code ?? 0);
  if (code !== undefined) return new ServerFailure({ code, message: messageOf(error) }, error);
  return new ServerFailure({ code: "internal", message: `${method} failed: ${messageOf(error)}` }, error);
}

/** Whether a failure only means that nobody waits for the answer any more. */
export function isObsolete(failure: unknown): boolean {
  return failure instanceof ServerFailure && (failure.code === "cancelled" || failure.code === "stale");
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What vscode-languageclient throws for an error response. */
const errorResponse = z.object({ code: z.number(), data: WireFailure.optional().catch(undefined) });

/** The Language Server Protocol's codes for an obsolete request: RequestCancelled, ContentModified, ServerCancelled. */
const codesByLspError: ReadonlyMap<number, WireFailure["code"]> = new Map([
  [-32800, "cancelled"],
  [-32801, "stale"],
  [-32802, "cancelled"],
]);
