import * as z from "zod";
import { FailureCode } from "./run-events.ts";

/** The `data` of every error response: what the editor tells apart. The message is for people. */
export const WireFailure = z.object({
  code: z.enum([
    ...FailureCode.options,
    /** The document has changed since; the asker drops its question. */
    "stale",
    /** This input has brought the server down before and is not looked at again until it changes. */
    "quarantined",
  ]),
  message: z.string(),
});
export type WireFailure = z.infer<typeof WireFailure>;
