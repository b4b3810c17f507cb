/** Schemas of the used parameters of LSP's own requests. */
import { z } from "zod";
import { MAX_URI_UNITS } from "./limits.ts";

const position = z.object({ line: z.int().min(0), character: z.int().min(0) });
const range = z.object({ start: position, end: position });
const textDocument = z.object({ uri: z.string().max(MAX_URI_UNITS) });

export const AtPosition = z.object({ textDocument, position });

export const CodeActionParams = z.object({
  textDocument,
  range,
  context: z.object({
    diagnostics: z
      .array(
        z.looseObject({
          range,
          message: z.string(),
          code: z.union([z.string(), z.number()]).optional(),
          data: z.unknown().optional(),
        }),
      )
      .max(10_000),
  }),
});
export type CodeActionParams = z.infer<typeof CodeActionParams>;
