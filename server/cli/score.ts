import { extname } from "node:path";
import { LfpError, messageOf } from "../common/errors.ts";
import { readTextFile } from "../common/text-file.ts";
import { csvHeader } from "../lens/csv-passages.ts";
import { textFormatOf } from "../protocol/text-format.ts";
import { type CommandResult, defineCommand } from "./command.ts";
import { UsageError } from "./errors.ts";
import { refuseMixture, type ScoreDocument, type ScoreGiven, scoreOptions } from "./score-options.ts";
import { scorePair } from "./score-pair.ts";
import { scorePreferences } from "./score-preferences.ts";
import { scoreRun } from "./score-run.ts";

export const score = defineCommand({
  usage: "[FILE] [options]",
  about:
    "Reads a text through a finished run (--run): what reward the probe reads in the tuned model's features at every token, beside what the feedback gives to the word. " +
    "Or through any two models of one architecture and tokenizer (--tuned A --base B), without a run: what tuning changed in the prediction of every token, " +
    "log p(tuned) - log p(base) in nats, above zero where tuning made the token likelier. Text and " +
    "Markdown are read by paragraph, JSON Lines (.jsonl, .ndjson) by every string with at least two words, answers of a pair given their prompt and messages in " +
    "their conversation, tables (.csv, .tsv) by cell: as the editor reads them.\n\n" +
    "With --sae FOLDER the two models are read through a dictionary that someone else trained: which features are active at every token in either model, and which are " +
    "stronger or weaker in the tuned one; each text is read by itself. A dictionary that does not fit the models is refused with its numbers.\n\n" +
    "With --pairs it reads a preference file, through a run or two models: for each pair of answers the margin, beta times the difference of their " +
    "log-ratios given the prompt, and in how many pairs the model learned the given preference.",
  options: scoreOptions,
  positionals: ["[FILE]"],
  run: async (given): Promise<CommandResult> => {
    refuseMixture(given);
    if (given.options.pairs) return await scorePreferences(given);
    const document = await documentOf(given);
    const { tuned, base } = given.options;
    if (tuned === undefined || base === undefined || document === undefined) return await scoreRun(given, document);
    return await scorePair(given, { tuned, base }, document);
  },
});

/** VS Code's language ids by the ending of a file, where a text's language tells what of it is read. Tables are told by their path. */
const languageIds: Readonly<Record<string, string>> = {
  ".jsonl": "jsonl",
  ".ndjson": "jsonl",
  ".md": "markdown",
  ".markdown": "markdown",
  ".tex": "latex",
  ".rst": "restructuredtext",
};

/** The text to read; undefined if only the lens is exported. */
async function documentOf({ options: chosen, positionals: [file] }: ScoreGiven): Promise<ScoreDocument | undefined> {
  if (file !== undefined && chosen.text !== undefined)
    throw new UsageError("FILE and --text were both given; one of them says what to read");
  if (file === undefined && chosen.columns !== undefined)
    throw new UsageError("--columns goes with FILE, a table (.csv, .tsv)");
  if (chosen.text !== undefined) return { text: chosen.text, languageId: "plaintext" };
  if (file !== undefined) {
    const languageId = languageIds[extname(file).toLowerCase()] ?? "plaintext";
    const document = { text: await readDocument(file), languageId, path: file };
    return chosen.columns === undefined ? document : { ...document, csvColumns: columnsOf(document, chosen.columns) };
  }
  if (chosen.export === undefined) throw new UsageError("FILE (or --text TEXT) is missing: it says what to read");
  return undefined;
}

/** The columns that `--columns` names. Throws `UsageError` if the document is no table, or has no such column. */
function columnsOf({ text, languageId, path }: ScoreDocument, stated: string): string[] {
  const format = textFormatOf(languageId, path);
  if (format !== "csv" && format !== "tsv")
    throw new UsageError(`--columns goes with a table (.csv, .tsv); ${path} is none`);
  const there = csvHeader(text, format === "tsv");
  const names = stated.split(",").map((name) => name.trim());
  const missing = names.find((name) => !there.some((one) => one.toLowerCase() === name.toLowerCase()));
  if (missing === undefined) return names;
  throw new UsageError(`--columns names "${missing}", which ${path} lacks: its columns are ${there.join(", ")}`);
}

async function readDocument(file: string): Promise<string> {
  try {
    return await readTextFile(file, "text");
  } catch (cause) {
    throw new DocumentError(file, cause);
  }
}

/** The input text is unreadable. */
class DocumentError extends LfpError {
  readonly code;

  constructor(file: string, cause: unknown) {
    super(`${file} cannot be read: ${messageOf(cause)}. Give a text file, or --text TEXT`, { cause });
    this.code =
      cause instanceof Error && "code" in cause && cause.code === "ENOENT"
        ? ("not-found" as const)
        : ("input" as const);
  }
}
