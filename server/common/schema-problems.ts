import { z } from "zod";

/** What does not fit a schema, on one line: messages of errors are lines of logs and of terminals. */
export function schemaProblems(error: z.core.$ZodError): string {
  return z.prettifyError(error).replaceAll(/\s*\n\s*/g, " ");
}
