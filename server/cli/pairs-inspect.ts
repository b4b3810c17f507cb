import { resolveReference } from "../models/open.ts";
import { inspectionDocument } from "../pipeline/inspect-pairs/document.ts";
import { inspectFile, openPairReader, type RowRange } from "../pipeline/inspect-pairs/inspect-file.ts";
import type { PairTokensConfig } from "../tuning/pair-tokens-config.ts";
import { type CommandResult, defineCommand, type Given } from "./command.ts";
import { downloadOption, progressNotes } from "./download.ts";
import { UsageError } from "./errors.ts";
import { option } from "./options.ts";

/** TRL's versions by the option's value, with their defaults. */
const tokenRules = {
  "1.x": { rule: "trl-1", maxTokens: 1024 },
  "0.7.7": { rule: "trl-0.7.7", maxTokens: 256, maxPromptTokens: 128 },
} as const satisfies Readonly<Record<string, PairTokensConfig>>;
const versions = ["1.x", "0.7.7"] as const satisfies readonly (keyof typeof tokenRules)[];

/** Maximum number of rows that are printed token by token. */
const MOST_ROWS = 1000;

const options = {
  model: option.required(
    "MODEL",
    "whose tokenizer and chat template: `starter`, a folder, or a hub id (owner/name[@revision])",
  ),
  download: downloadOption,
  row: option.text("N", "print this row token by token; rows count from 0"),
  rows: option.text("A..B", `print these rows, both included, at most ${MOST_ROWS}`),
  tokens: option.choice("VERSION", "the version of TRL whose rules make tokens of a pair", versions, "1.x"),
  "max-length": option.text("N", "the most tokens of a prompt with its answer (default 1024 for 1.x, 256 for 0.7.7)"),
  "max-prompt-length": option.text("N", "for 0.7.7: the tokens that are kept of a prompt that is cut (default 128)"),
  markdown: option.flag("print a Markdown document"),
};

export const pairsInspect = defineCommand({
  usage: "FILE --model MODEL [--row N | --rows A..B] [options]",
  about:
    "Shows how rows of preference data (.jsonl, .csv, .parquet, also .gz) become tokens: where the prompt ends and by which rule, begin and end of text, " +
    "what truncation cuts and what the loss counts, as TRL makes them.\n\n" +
    "Without --row and --rows it counts all rows and prints no text of the data. With them it prints every token of those rows: preference data may be harmful.",
  options,
  positionals: ["FILE"],
  run: async ({ options: chosen, positionals: [file = ""], ...given }): Promise<CommandResult> => {
    const [range, tokens] = [rangeOf(chosen), tokensOf(chosen)];
    const { folder } = await resolveReference(chosen.model, {
      download: chosen.download,
      onProgress: progressNotes(given.note),
      signal: given.signal,
      env: given.env,
    });
    const reader = await openPairReader(folder);
    const { totals, rows } = await inspectFile(file, reader, tokens, { range, signal: given.signal });
    const source = { data: file, model: chosen.model, hasTemplate: reader.template !== undefined, tokens };
    return {
      json: { name: "pairs inspect", ...source, totals, rows },
      text: inspectionDocument(source, { totals, rows }, chosen.markdown ? "markdown" : "text"),
    };
  },
});

type Chosen = Given<typeof options>["options"];

function tokensOf(chosen: Chosen): PairTokensConfig {
  const config = tokenRules[chosen.tokens];
  const maxTokens = positive("--max-length", chosen["max-length"]) ?? config.maxTokens;
  const maxPromptTokens = positive("--max-prompt-length", chosen["max-prompt-length"]);
  if (config.rule === "trl-0.7.7")
    return { ...config, maxTokens, maxPromptTokens: maxPromptTokens ?? config.maxPromptTokens };
  if (maxPromptTokens !== undefined)
    throw new UsageError(
      "--max-prompt-length is for --tokens 0.7.7; TRL 1.x cuts the end of prompt and answer together",
    );
  return { ...config, maxTokens };
}

function rangeOf({ row, rows }: Chosen): RowRange | undefined {
  if (row !== undefined && rows !== undefined)
    throw new UsageError("--row and --rows were both given; one of them says what to print");
  if (row !== undefined) {
    const first = whole("--row", row);
    return { first, last: first };
  }
  if (rows === undefined) return undefined;
  const [from = "", to = "", ...more] = rows.split("..");
  const range = { first: whole("--rows", from), last: whole("--rows", to) };
  if (more.length > 0 || range.last < range.first || range.last - range.first >= MOST_ROWS)
    throw new UsageError(
      `--rows is ${JSON.stringify(rows)}; expected A..B with A at most B, and at most ${MOST_ROWS} rows`,
    );
  return range;
}

function positive(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = whole(flag, text);
  if (value === 0) throw new UsageError(`${flag} is 0; expected a whole number of at least 1`);
  return value;
}

function whole(flag: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new UsageError(`${flag} is ${JSON.stringify(text.slice(0, 100))}; expected a whole number`);
}
