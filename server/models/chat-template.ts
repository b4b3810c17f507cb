/**
 * A model's chat template: how it writes conversations as one text. `loadChatTemplate` reads it from the model's folder
 * as transformers does (`apply_chat_template` of 5.24). Other folders import `chat-template/` through this file.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Program } from "@huggingface/jinja";
import { z } from "zod";
import { messageOf } from "../common/errors.ts";
import { parseJson } from "../common/json.ts";
import { schemaProblems } from "../common/schema-problems.ts";
import { LfsPointerError, readTextFile } from "../common/text-file.ts";
import { tokenizerFolderOf } from "./adapter.ts";
import {
  ChatTemplateArgumentError,
  ChatTemplateDateError,
  ChatTemplateFileError,
  ChatTemplateLimitError,
  ChatTemplateRefusal,
  ChatTemplateRenderError,
  ChatTemplateSyntaxError,
  NoChatTemplateError,
} from "./chat-template/errors.ts";
import { JinjaLimitError, JinjaRefusal, parseJinja, renderJinja } from "./chat-template/interpreter.ts";
import { momentOf } from "./chat-template/strftime.ts";
import { CHAT_TEMPLATE_FILE, CHAT_TEMPLATE_FOLDER, isChatTemplateFile } from "./model-files.ts";

export {
  ChatMessagesError,
  ChatTemplateArgumentError,
  ChatTemplateDateError,
  ChatTemplateFileError,
  ChatTemplateLimitError,
  ChatTemplateRefusal,
  ChatTemplateRenderError,
  ChatTemplateSyntaxError,
  NoChatTemplateError,
} from "./chat-template/errors.ts";

/** A message of a conversation; templates may read further fields of it, such as `reasoning_content`. */
export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

export interface ChatOptions {
  /** End with what introduces the model's answer. Default false. */
  readonly addGenerationPrompt?: boolean;
  /** JSON schemas of functions, as transformers takes them. */
  readonly tools?: readonly unknown[] | undefined;
  /**
   * Further variables of the template, such as `enable_thinking` or `date_string`. `strftime_now` is the date that
   * templates write as today's, such as "2025-06-28".
   */
  readonly templateArguments?: Readonly<Record<string, unknown>> | undefined;
  /** The name of one of the model's templates. Default: as transformers chooses. */
  readonly templateName?: string | undefined;
}

/** What the files of a model say of its templates. */
export interface ChatTemplateSource {
  /** By name: "default", and others such as "tool_use". */
  readonly templates: ReadonlyMap<string, string>;
  /** The texts of special tokens by their role, such as `bos_token`. */
  readonly specialTokens: Readonly<Record<string, string | undefined>>;
  /** For messages: the file or folder that the templates come from. */
  readonly where: string;
}

/** The chat template of a model, or several by name. */
export class ChatTemplate {
  readonly #source: ChatTemplateSource;
  readonly #parsed = new Map<string, Program>();

  constructor(source: ChatTemplateSource) {
    this.#source = source;
  }

  /**
   * Renders a conversation as text, which is to be encoded without the tokens that a tokenizer adds: templates write
   * them. A template that asks for today's date gets a fixed one (`fixedNow`) unless `templateArguments` say otherwise.
   * Throws `ChatTemplateRefusal`, `ChatTemplateRenderError`, `ChatTemplateSyntaxError`, `ChatTemplateLimitError`,
   * `ChatTemplateArgumentError`, `ChatTemplateDateError` and `NoChatTemplateError`.
   */
  render(messages: readonly ChatMessage[], options: ChatOptions = {}): string {
    const { addGenerationPrompt = false, tools, templateArguments = {}, templateName } = options;
    for (const name of Object.keys(templateArguments))
      if (ownArguments.has(name)) throw new ChatTemplateArgumentError(name);
    const { strftime_now, ...others } = templateArguments;
    const now = momentOf(strftime_now);
    if (now === undefined && strftime_now !== undefined) throw new ChatTemplateDateError(strftime_now);
    const { where, specialTokens } = this.#source;
    const program = this.#programFor(tools, templateName);
    const variables = {
      ...specialTokens,
      tools: tools ?? null,
      documents: null,
      ...others,
      messages: messages.map(asTemplatesReadIt),
      add_generation_prompt: addGenerationPrompt,
    };
    try {
      return renderJinja(program, variables, now);
    } catch (cause) {
      if (cause instanceof JinjaLimitError) throw new ChatTemplateLimitError(where, cause.message, { cause });
      if (cause instanceof JinjaRefusal) throw new ChatTemplateRefusal(where, cause.message, { cause });
      throw new ChatTemplateRenderError(where, messageOf(cause), { cause });
    }
  }

  /** transformers' rule: the named one; with tools the template for them, if there is one, else the default one. */
  #programFor(tools: readonly unknown[] | undefined, chosen: string | undefined): Program {
    const { templates, where } = this.#source;
    const name = chosen ?? (tools !== undefined && templates.has("tool_use") ? "tool_use" : "default");
    const known = this.#parsed.get(name);
    if (known !== undefined) return known;
    const template = templates.get(name);
    if (template === undefined) throw new NoChatTemplateError(where, { name, names: [...templates.keys()] });
    const program = this.#parse(template);
    this.#parsed.set(name, program);
    return program;
  }

  #parse(template: string): Program {
    const { where } = this.#source;
    try {
      return parseJinja(template);
    } catch (cause) {
      if (cause instanceof JinjaLimitError) throw new ChatTemplateLimitError(where, cause.message, { cause });
      throw new ChatTemplateSyntaxError(where, messageOf(cause), { cause });
    }
  }
}

/** Arguments of transformers' function that are not variables of the template, and names that templates cannot set. */
const ownArguments: ReadonlySet<string> = new Set([
  ...["messages", "conversation", "add_generation_prompt", "continue_final_message", "chat_template", "tokenize"],
  ...["padding", "truncation", "max_length", "return_tensors", "return_dict", "return_assistant_tokens_mask"],
  ...["tokenizer_kwargs", "sanitize_control_tokens", "namespace", "raise_exception", "range"],
]);

/** As transformers hands a message to templates: without empty fields, and with its reasoning under each usual name. */
function asTemplatesReadIt(message: ChatMessage): Readonly<Record<string, unknown>> {
  const fields = Object.fromEntries(
    Object.entries(message).filter(([, value]) => value !== null && value !== undefined),
  );
  const reasoning = fields["reasoning_content"] ?? fields["thinking"] ?? fields["reasoning"];
  return reasoning === undefined ? fields : { thinking: reasoning, ...fields, reasoning_content: reasoning };
}

/**
 * The chat templates of a model's folder: chat_template.jinja and, by their names, the files of
 * additional_chat_templates/; without these, `chat_template` in tokenizer_config.json, one text or a list of named ones.
 * Undefined where there is none. Throws `ChatTemplateFileError`.
 */
export async function loadChatTemplate(folder: string): Promise<ChatTemplate | undefined> {
  const own = await tokenizerFolderOf(folder);
  const paths = { file: join(own, CHAT_TEMPLATE_FILE), config: join(own, "tokenizer_config.json") };
  const files = await templateFiles(own);
  const { chat_template, ...tokens } = parsed(paths.config, (await textIfThere(paths.config, "config")) ?? "{}");
  const templates = files.size > 0 ? files : named(chat_template);
  if (templates.size === 0) return undefined;
  const given = Object.entries(tokens).filter(([, text]) => text !== undefined);
  const where = files.size === 0 ? paths.config : paths.file;
  return new ChatTemplate({ templates, specialTokens: Object.fromEntries(given), where });
}

/** The templates that have files of their own, by name. */
async function templateFiles(folder: string): Promise<Map<string, string>> {
  const more = await readdir(join(folder, CHAT_TEMPLATE_FOLDER)).catch(() => []);
  const paths = [
    ["default", CHAT_TEMPLATE_FILE],
    ...more.toSorted().map((name) => [name.replace(/\.jinja$/, ""), `${CHAT_TEMPLATE_FOLDER}/${name}`] as const),
  ] as const;
  const found = new Map<string, string>();
  for (const [name, path] of paths) {
    const text = isChatTemplateFile(path) ? await textIfThere(join(folder, path), "config") : undefined;
    if (text !== undefined) found.set(name, text);
  }
  return found;
}

function named(templates: z.output<typeof configSchema>["chat_template"]): Map<string, string> {
  if (templates === undefined) return new Map();
  if (typeof templates === "string") return new Map([["default", templates]]);
  return new Map(templates.map(({ name, template }) => [name, template]));
}

const token = z
  .union([z.string(), z.object({ content: z.string() }).transform(({ content }) => content)])
  .nullish()
  .transform((text) => text ?? undefined);
const configSchema = z.object({
  chat_template: z
    .union([z.string(), z.array(z.object({ name: z.string(), template: z.string() }))])
    .nullish()
    .transform((template) => template ?? undefined),
  bos_token: token,
  eos_token: token,
  unk_token: token,
  sep_token: token,
  pad_token: token,
  cls_token: token,
  mask_token: token,
});

function parsed(path: string, text: string): z.output<typeof configSchema> {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (cause) {
    throw new ChatTemplateFileError(path, `not JSON (${messageOf(cause)})`, { cause });
  }
  const config = configSchema.safeParse(value);
  if (config.success) return config.data;
  throw new ChatTemplateFileError(path, schemaProblems(config.error));
}

async function textIfThere(path: string, kind: "config"): Promise<string | undefined> {
  try {
    return await readTextFile(path, kind);
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
    if (cause instanceof LfsPointerError) throw cause;
    throw new ChatTemplateFileError(path, messageOf(cause), { cause });
  }
}
