import { z } from "zod";
import { LfpError, messageOf } from "../common/errors.ts";
import { parseJson } from "../common/json.ts";
import { schemaProblems } from "../common/schema-problems.ts";
import type { ChatMessage, ChatOptions, ChatTemplate } from "../models/chat-template.ts";

/** A conversation whose next message the model is to write. */
export interface Conversation extends Pick<ChatOptions, "tools" | "templateArguments" | "templateName"> {
  readonly messages: readonly ChatMessage[];
}

/** A line of a file of conversations is none. */
export class ConversationError extends LfpError {
  readonly code = "input";

  constructor(where: string, problem: string, options?: ErrorOptions) {
    super(
      `${where} is no conversation: ${problem}. Expected JSON: a list of messages {"role", "content"}, or an object with ` +
        "such a list as messages, and optionally tools and chat_template_kwargs",
      options,
    );
  }
}

const messages = z.array(z.looseObject({ role: z.string(), content: z.string() })).min(1);
const record = z.object({
  messages,
  tools: z.array(z.unknown()).nullish(),
  chat_template_kwargs: z.record(z.string(), z.unknown()).nullish(),
});

/** A conversation of one message of the user. */
export function asked(content: string): Conversation {
  return { messages: [{ role: "user", content }] };
}

/** The conversation of a line. `where` names it for errors. Throws `ConversationError`. */
export function conversationOf(line: string, where: string): Conversation {
  let value: unknown;
  try {
    value = parseJson(line);
  } catch (cause) {
    throw new ConversationError(where, messageOf(cause), { cause });
  }
  const read = record.safeParse(Array.isArray(value) ? { messages: value } : value);
  if (!read.success) throw new ConversationError(where, schemaProblems(read.error));
  const { tools, chat_template_kwargs: templateArguments, ...others } = read.data;
  return { ...others, tools: tools ?? undefined, templateArguments: templateArguments ?? undefined };
}

/** The text after which the model writes its message. Throws what the template throws. */
export function written({ messages: turns, ...options }: Conversation, template: ChatTemplate): string {
  return template.render(turns, { ...options, addGenerationPrompt: true });
}
