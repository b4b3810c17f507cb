import * as z from "zod";
import { FailureCode } from "./run-events.ts";

/** The `data` of every error response, by which the editor distinguishes failures. The message is for people. */
export const WireFailure = z.object({
  code: z.enum([
    ...FailureCode.options,
    /** The document has changed since; the caller discards the request. */
    "stale",
    /** This input has crashed the server before; the server refuses it until it changes. */
    "quarantined",
  ]),
  message: z.string(),
});
export type WireFailure = z.infer<typeof WireFailure>;
