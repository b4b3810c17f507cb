import { LfpError, messageOf } from "../common/errors.ts";
import { readStandardInput, readTextFile } from "../common/text-file.ts";
import { visible } from "../common/untrusted-text.ts";
import { stoppingAtMessages } from "../models/chat-end.ts";
import { loadChatTemplate, NoChatTemplateError } from "../models/chat-template.ts";
import { notesOn } from "../models/checkpoint.ts";
import { supportedModelTypes } from "../models/config.ts";
import { type ContinuedText, type ContinueOptions, continueTexts } from "../models/continue-texts.ts";
import { openModel, resolveReference } from "../models/open.ts";
import { type CommandResult, defineCommand, type Given } from "./command.ts";
import { asked as askedBy, conversationOf, written } from "./conversations.ts";
import { downloadOption, progressNotes } from "./download.ts";
import { UsageError } from "./errors.ts";
import { option } from "./options.ts";
import { deviceOptions, withDevice } from "./with-device.ts";

const options = {
  model: option.required(
    "MODEL",
    "`starter`, a folder with a checkpoint or with adapters, or a hub id (owner/name[@revision])",
  ),
  download: downloadOption,
  prompt: option.texts("TEXT", "a text to continue"),
  "prompt-file": option.text("FILE", "a file of prompts, one a line; empty lines are left out; - reads standard input"),
  chat: option.flag(
    "answer by the model's chat template: a prompt is a message of the user, a line of the file a conversation as JSON",
  ),
  "chat-template": option.text(
    "NAME",
    "with --chat: one of the model's chat templates by its name, such as tool_use, where it has several",
  ),
  "max-new-tokens": option.integer("the most new tokens for each prompt", 40, { min: 1 }),
  "min-new-tokens": option.integer("no end of text before so many new tokens", 0, { min: 0 }),
  temperature: option.number("divides the logits; 0 takes the most probable token always", 1, { min: 0 }),
  "top-k": option.integer("sample among the k most probable tokens only; 0: all", 0, { min: 0 }),
  "top-p": option.number("sample among the fewest tokens that hold this probability; 1: all", 1, { min: 0, max: 1 }),
  greedy: option.flag("the same as --temperature 0"),
  seed: option.integer("equal seeds give equal texts on one machine", 0, { min: 0, max: 0xffffffff }),
  "no-bos": option.flag(
    "put no begin-of-text token before the prompts; transformers puts none for Pythia and GPT-Neo, the starter needs one",
  ),
  ...deviceOptions,
};

export const generate = defineCommand({
  usage: "--model MODEL (--prompt TEXT... | --prompt-file FILE) [--chat] [options]",
  about:
    "Loads a model and its tokenizer and prints each prompt with its continuation. Checkpoints in safetensors work, of the " +
    `types ${supportedModelTypes.join(", ")}. ` +
    "All prompts are sampled together, so many cost little more than one.\n\n" +
    "With --chat it prints the model's answers to conversations, which its chat template writes out.",
  options,
  run: async (given): Promise<CommandResult> => {
    const { options: chosen, signal, note } = given;
    checkTogether(chosen);
    const asked = await promptsOf(given);
    const { folder, id, commit } = await resolveReference(chosen.model, {
      download: chosen.download,
      onProgress: progressNotes(given.note),
      signal,
      env: given.env,
    });
    const chat = chosen.chat ? await chatOf(folder, asked, chosen["chat-template"]) : undefined;
    return await withDevice({ ...chosen, signal, note, env: given.env }, async (device) => {
      const opened = await openModel(device, folder);
      for (const line of notesOn(opened.model)) note(`${chosen.model}: ${line}`);
      const { tokenizer } = opened;
      const model = chat === undefined ? opened.model : await stoppingAtMessages(opened.model, folder, tokenizer);
      const prompts = chat?.prompts ?? asked.map(({ text }) => text);
      const texts = await continueTexts(device, { model, tokenizer }, prompts, {
        ...samplingOf(chosen),
        templated: chat !== undefined,
        signal,
      });
      const named = { reference: chosen.model, folder, ...(id === undefined ? {} : { id, commit }) };
      return {
        json: {
          name: "generate",
          model: named,
          seed: chosen.seed,
          texts: texts.map((one, at) => ({ ...chat?.said(at), ...asJson(one) })),
        },
        text: texts.map(({ prompt, text }) => visible(chat === undefined ? prompt + text : text)).join("\n\n"),
      };
    });
  },
});

type Chosen = Given<typeof options>["options"];

/** Throws `UsageError` for options that do not go together. */
function checkTogether(chosen: Chosen): void {
  const [fewest, most] = [chosen["min-new-tokens"], chosen["max-new-tokens"]];
  if (fewest > most) throw new UsageError(`--min-new-tokens is ${fewest}, above --max-new-tokens, ${most}`);
  if (chosen.chat && chosen["no-bos"])
    throw new UsageError("--no-bos and --chat were both given; a chat template writes begin of text itself");
  if (chosen["chat-template"] !== undefined && !chosen.chat)
    throw new UsageError("--chat-template chooses among templates for conversations: give --chat too");
}

function samplingOf(chosen: Chosen): ContinueOptions {
  return {
    maxNewTokens: chosen["max-new-tokens"],
    minNewTokens: chosen["min-new-tokens"],
    temperature: chosen.greedy ? 0 : chosen.temperature,
    topK: chosen["top-k"],
    topP: chosen["top-p"],
    seed: chosen.seed,
    bos: !chosen["no-bos"],
  };
}

function asJson({ prompt, promptIds, text, ids, stoppedAtEos }: ContinuedText): Record<string, unknown> {
  return { prompt, text, promptTokens: promptIds.length, ids: [...ids], stoppedAtEos };
}

interface Chat {
  /** The conversations as the template writes them. */
  readonly prompts: readonly string[];
  readonly said: (at: number) => Record<string, unknown>;
}

/** Prompts as conversations, before the model is loaded: a template may refuse them. */
async function chatOf(folder: string, asked: readonly Prompt[], templateName: string | undefined): Promise<Chat> {
  const template = await loadChatTemplate(folder);
  if (template === undefined) throw new NoChatTemplateError(folder);
  const conversations = asked.map(({ text, where }) =>
    where === undefined ? askedBy(text) : conversationOf(text, where),
  );
  return {
    prompts: conversations.map((conversation) => written({ ...conversation, templateName }, template)),
    said: (at) => ({ messages: conversations[at]?.messages ?? [] }),
  };
}

interface Prompt {
  readonly text: string;
  /** Its line, if it is one of a file. */
  readonly where?: string;
}

async function promptsOf({ options: chosen }: Given<typeof options>): Promise<readonly Prompt[]> {
  const file = chosen["prompt-file"];
  if (file !== undefined && chosen.prompt.length > 0)
    throw new UsageError("--prompt and --prompt-file were both given; one of them says what to continue");
  if (file === undefined && chosen.prompt.length === 0)
    throw new UsageError("--prompt TEXT (or --prompt-file FILE) is missing");
  if (file === undefined) return chosen.prompt.map((text) => ({ text }));
  const reading = file === "-" ? readStandardInput() : readTextFile(file, "text");
  const name = file === "-" ? "standard input" : file;
  const text = await reading.catch((error) => Promise.reject(new PromptFileError(name, error)));
  const lines = text.split(/\r?\n/).map((line, at) => ({ text: line, where: `${name}, line ${at + 1}` }));
  const prompts = lines.filter((line) => line.text.trim() !== "");
  if (prompts.length === 0) throw new PromptFileError(name, new Error("it holds no prompt"));
  return prompts;
}

/** The file of prompts is unusable. */
class PromptFileError extends LfpError {
  readonly code;

  constructor(file: string, cause: unknown) {
    super(`${file} holds no prompts that can be read: ${messageOf(cause)}. Give a text file with one prompt a line`, {
      cause,
    });
    this.code =
      cause instanceof Error && "code" in cause && cause.code === "ENOENT"
        ? ("not-found" as const)
        : ("input" as const);
  }
}
