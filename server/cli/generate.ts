import { LfpError, messageOf } from "../common/errors.ts";
import { readTextFile } from "../common/text-file.ts";
import { visible } from "../common/untrusted-text.ts";
import { notesOn } from "../models/checkpoint.ts";
import { type ContinuedText, continueTexts } from "../models/continue-texts.ts";
import { openModel, resolveReference } from "../models/open.ts";
import { type CommandResult, defineCommand, type Given } from "./command.ts";
import { downloadOption, progressNotes } from "./download.ts";
import { UsageError } from "./errors.ts";
import { option } from "./options.ts";
import { deviceOptions, withDevice } from "./with-device.ts";

const options = {
  model: option.required("MODEL", "`starter`, a folder with a checkpoint, or a hub id (owner/name[@revision])"),
  download: downloadOption,
  prompt: option.texts("TEXT", "a text to continue"),
  "prompt-file": option.text("FILE", "a file of prompts, one a line; empty lines are left out"),
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
  usage: "--model MODEL (--prompt TEXT... | --prompt-file FILE) [options]",
  about:
    "Loads a model and its tokenizer and prints each prompt with its continuation. GPT-NeoX (Pythia), GPT-Neo and Gemma " +
    "checkpoints in safetensors work. All prompts are sampled together, so many cost little more than one.",
  options,
  run: async (given): Promise<CommandResult> => {
    const { options: chosen, signal, note } = given;
    const [fewest, most] = [chosen["min-new-tokens"], chosen["max-new-tokens"]];
    if (fewest > most) throw new UsageError(`--min-new-tokens is ${fewest}, above --max-new-tokens, ${most}`);
    const prompts = await promptsOf(given);
    const { folder, id, commit } = await resolveReference(chosen.model, {
      download: chosen.download,
      onProgress: progressNotes(given.note),
      signal,
      env: given.env,
    });
    return await withDevice({ ...chosen, signal, note, env: given.env }, async (device) => {
      const opened = await openModel(device, folder);
      for (const line of notesOn(opened.model)) note(`${chosen.model}: ${line}`);
      const texts = await continueTexts(device, opened, prompts, {
        maxNewTokens: most,
        minNewTokens: fewest,
        temperature: chosen.greedy ? 0 : chosen.temperature,
        topK: chosen["top-k"],
        topP: chosen["top-p"],
        seed: chosen.seed,
        bos: !chosen["no-bos"],
        signal,
      });
      const model = { reference: chosen.model, folder, ...(id === undefined ? {} : { id, commit }) };
      return { json: { name: "generate", model, seed: chosen.seed, texts: texts.map(asJson) }, text: asText(texts) };
    });
  },
});

function asJson({ prompt, promptIds, text, ids, stoppedAtEos }: ContinuedText): Record<string, unknown> {
  return { prompt, text, promptTokens: promptIds.length, ids: [...ids], stoppedAtEos };
}

function asText(texts: readonly ContinuedText[]): string {
  return texts.map(({ prompt, text }) => visible(prompt + text)).join("\n\n");
}

async function promptsOf({ options: chosen }: Given<typeof options>): Promise<readonly string[]> {
  const file = chosen["prompt-file"];
  if (file !== undefined && chosen.prompt.length > 0)
    throw new UsageError("--prompt and --prompt-file were both given; one of them says what to continue");
  if (file === undefined && chosen.prompt.length === 0)
    throw new UsageError("--prompt TEXT (or --prompt-file FILE) is missing");
  if (file === undefined) return chosen.prompt;
  const text = await readTextFile(file, "text").catch((error) => Promise.reject(new PromptFileError(file, error)));
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== "");
  if (lines.length === 0) throw new PromptFileError(file, new Error("it holds no prompt"));
  return lines;
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
