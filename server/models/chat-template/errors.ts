import { LfpError } from "../../common/errors.ts";
import { visibleLine } from "../../common/untrusted-text.ts";

/** A file of chat templates cannot be read, or does not hold what Hugging Face writes there. */
export class ChatTemplateFileError extends LfpError {
  readonly code = "input";

  constructor(path: string, problem: string, options?: ErrorOptions) {
    super(`${path}: ${visibleLine(problem)}. Copy the file again from the model that it belongs to.`, options);
  }
}

/** The model has no chat template, and one was asked for. */
export class NoChatTemplateError extends LfpError {
  readonly code = "input";

  constructor(folder: string, named?: { readonly name: string; readonly names: readonly string[] }) {
    super(
      named === undefined
        ? `${folder} has no chat template: neither chat_template.jinja nor chat_template in tokenizer_config.json. ` +
            "Use a model that was tuned for conversations, or give plain text instead of messages."
        : `${folder} has no chat template named ${visibleLine(named.name, 60)}. Choose one of those that it has: ` +
            `${visibleLine(named.names.join(", "))}.`,
    );
  }
}

/** A template is not Jinja, or uses what this program's Jinja lacks. */
export class ChatTemplateSyntaxError extends LfpError {
  readonly code = "input";

  constructor(where: string, problem: string, options?: ErrorOptions) {
    super(
      `${where}: the chat template cannot be parsed (${visibleLine(problem)}). Use the template that came with the model.`,
      options,
    );
  }
}

/** A template cannot write certain messages; it may write others. A caller that reads many counts what it skips. */
export abstract class ChatMessagesError extends LfpError {
  readonly code = "input";
}

/** A template refuses these messages by `raise_exception`. */
export class ChatTemplateRefusal extends ChatMessagesError {
  constructor(where: string, said: string, options?: ErrorOptions) {
    super(
      `${where}: the chat template refuses these messages: ${visibleLine(said)}. Change them to what it takes.`,
      options,
    );
  }
}

/** A template fails on these messages, or uses what this program's Jinja lacks. */
export class ChatTemplateRenderError extends ChatMessagesError {
  constructor(where: string, problem: string, options?: ErrorOptions) {
    super(
      `${where}: the chat template fails on these messages (${visibleLine(problem)}). It may require certain roles or fields ` +
        "of messages.",
      options,
    );
  }
}

/** A template computes or writes more than any template for conversations needs. */
export class ChatTemplateLimitError extends LfpError {
  readonly code = "input";

  constructor(where: string, limit: string, options?: ErrorOptions) {
    super(
      `${where}: the chat template was stopped: ${limit}. Use the template that came with the model, or fewer messages.`,
      options,
    );
  }
}

/** The date that a template is to write is none. */
export class ChatTemplateDateError extends ChatMessagesError {
  constructor(got: unknown) {
    super(
      `chat_template_kwargs gives ${visibleLine(JSON.stringify(got), 60)} as strftime_now, the date that templates write as today's: ` +
        "expected a date such as 2025-06-28, or with a time 2025-06-28T10:30:00",
    );
  }
}

/** An argument for the template that is not its own: the messages have places of their own. */
export class ChatTemplateArgumentError extends ChatMessagesError {
  constructor(name: string) {
    super(
      `chat_template_kwargs names "${visibleLine(name, 60)}", which the messages themselves set: leave it out there.`,
    );
  }
}
