/** Completions by a language model of the editor, which the server asks for while it explains. */
import * as z from "zod";
import { defineRequest } from "./message.ts";

/** A language model that the editor offers: its vendor, and its name there. */
export const EditorModel = z.object({ vendor: z.string().min(1).max(200), id: z.string().min(1).max(200) });
export type EditorModel = z.infer<typeof EditorModel>;

/** The name under which its explanations are kept. */
export function editorModelName({ vendor, id }: EditorModel): string {
  return `${vendor}/${id}`;
}

export const ModelMessage = z.object({ role: z.enum(["user", "assistant"]), content: z.string().max(200_000) });
export type ModelMessage = z.infer<typeof ModelMessage>;

export const Completed = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("answer"), text: z.string().max(100_000) }),
  /** `isFinal`: every other question of the job would be refused too. */
  z.object({ kind: z.literal("refused"), reason: z.string(), isFinal: z.boolean() }),
]);
export type Completed = z.infer<typeof Completed>;

/** Server to editor: a completion for a job of `ExplainFeatures` that a person has started with an editor's model. */
export const Complete = defineRequest(
  "lfp/complete",
  z.object({ job: z.string(), messages: z.array(ModelMessage).min(1).max(8) }),
  Completed,
);
