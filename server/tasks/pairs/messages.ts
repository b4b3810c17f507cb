/** Messages of conversations in rows of data, in every form that TRL and transformers take. */
import { z } from "zod";
import { tryJson } from "../../common/json.ts";

/** A turn of a conversation, with further fields that chat templates read, such as `reasoning_content`. */
export interface Message {
  readonly role: string;
  readonly content: string;
  readonly [field: string]: unknown;
}

/** Columns beside the messages that chat templates read. */
export interface TemplateFields {
  readonly tools?: readonly unknown[] | undefined;
  readonly templateArguments?: Readonly<Record<string, unknown>> | undefined;
}

/** Writes messages out as a model reads them: a model's `ChatTemplate`. */
export interface MessageWriter {
  render(messages: readonly Message[], options: TemplateFields & { readonly addGenerationPrompt?: boolean }): string;
}

/** As TRL reads them: tools may be JSON in a text. */
export const templateFieldsSchema = z
  .object({
    tools: z
      .union([
        z
          .string()
          .transform((text) => tryJson(text))
          .pipe(z.array(z.unknown())),
        z.array(z.unknown()),
      ])
      .nullish(),
    chat_template_kwargs: z.record(z.string(), z.unknown()).nullish(),
  })
  .transform(({ tools, chat_template_kwargs: templateArguments }) => ({
    ...(tools ? { tools } : {}),
    ...(templateArguments ? { templateArguments } : {}),
  }));

/** A text model's prompt has no place for parts of a message that are not text (images, tool calls). */
const content = z.union([
  z.string(),
  z
    .array(z.object({ type: z.literal("text"), text: z.string() }))
    .transform((parts) => parts.map(({ text }) => text).join("")),
]);
/** Parquet gives every message each field that any has, empty ones as null. */
const message = z.looseObject({ role: z.string(), content }).transform(({ role, content: text, ...more }): Message => {
  const given = Object.entries(more).filter(([, value]) => value !== null && value !== undefined);
  return { ...Object.fromEntries(given), role, content: text };
});

export const messagesSchema: z.ZodType<readonly Message[]> = z.array(message).min(1);

/** A whole conversation. */
export interface Conversation extends TemplateFields {
  readonly messages: readonly Message[];
}

/** The conversation of a row: a list of messages, or an object with one as `messages`. Undefined for other rows. */
export function conversationOf(row: unknown): Conversation | undefined {
  const read = z.object({ messages: messagesSchema }).safeParse(Array.isArray(row) ? { messages: row } : row).data;
  const fields = Array.isArray(row) ? {} : templateFieldsSchema.safeParse(row).data;
  return read === undefined || fields === undefined ? undefined : { ...read, ...fields };
}
