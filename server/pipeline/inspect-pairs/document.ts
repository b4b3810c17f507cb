/**
 * Inspected pairs as a document: Markdown, or the same as plain text. Texts of data sets and models stand in code
 * blocks only, one token a line, behind words of ours, so that none can be read as markup.
 */
import { visibleLine } from "../../common/untrusted-text.ts";
import { pairForms } from "../../tasks/pairs/pair-texts.ts";
import { preferenceFaults, preferenceRules } from "../../tasks/pairs/preference-rows.ts";
import type { PairTokensConfig } from "../../tuning/pair-tokens-config.ts";
import { pairLosses } from "../../tuning/preference-tokens.ts";
import type { InspectedRow, InspectedToken } from "./inspect-row.ts";
import { begins, ends, type PairTotals } from "./totals.ts";

/** Where pairs come from and how they are read. */
export interface InspectionSource {
  /** Path or name of the data, and of the model. */
  readonly data: string;
  readonly model: string;
  readonly hasTemplate: boolean;
  readonly tokens: PairTokensConfig;
}

/** What to write; totals are left out where one row is shown. */
export interface InspectionContent {
  readonly totals: PairTotals | undefined;
  readonly rows: readonly InspectedRow[];
}

export type DocumentForm = "markdown" | "text";

/** Writes the document. */
export function inspectionDocument(source: InspectionSource, content: InspectionContent, form: DocumentForm): string {
  const blocks: Block[] = [
    { heading: 1, title: "Tokens of preference pairs" },
    { lines: sourceLines(source) },
    ...(content.totals === undefined ? [] : totalsBlocks(content.totals)),
    ...content.rows.flatMap(rowBlocks),
  ];
  return `${blocks.map(forms[form]).join("\n\n")}\n`;
}

type Block = { readonly heading: 1 | 2 | 3; readonly title: string } | { readonly lines: readonly string[] };

const forms: Readonly<Record<DocumentForm, (block: Block) => string>> = {
  markdown: (block) =>
    "heading" in block
      ? `${"#".repeat(block.heading)} ${block.title}`
      : ["```text", ...block.lines.map((line) => line.trimEnd()), "```"].join("\n"),
  text: (block) => ("heading" in block ? block.title : block.lines.map((line) => `  ${line}`.trimEnd()).join("\n")),
};

function sourceLines({ data, model, hasTemplate, tokens }: InspectionSource): string[] {
  return columns([
    ["data", data],
    ["model", `${model}, ${hasTemplate ? "with" : "without"} a chat template`],
    ["tokens", tokensInWords[tokens.rule](tokens)],
  ]);
}

const tokensInWords: { readonly [K in PairTokensConfig["rule"]]: (config: PairTokensConfig) => string } = {
  "trl-1": ({ maxTokens }) => `as TRL does since 1.0 (${maxTokens} tokens at most: the end is cut)`,
  "trl-0.7.7": (config) =>
    `as TRL 0.7.7 did (${config.maxTokens} tokens at most` +
    `${config.rule === "trl-0.7.7" ? `; of a prompt the last ${config.maxPromptTokens} are kept` : ""})`,
};

function totalsBlocks(totals: PairTotals): Block[] {
  const { rows, pairs, cut, withoutEnd } = totals;
  const named = <K extends string>(
    counts: Readonly<Record<K, number>>,
    words: Readonly<Record<K, string>>,
  ): string[][] =>
    (Object.keys(words) as K[]).filter((name) => counts[name] > 0).map((name) => [`${counts[name]}`, words[name]]);
  const counted = (lines: readonly (readonly [number, string])[]): string[][] =>
    lines.filter(([number]) => number > 0).map(([number, words]) => [`${number}`, words]);
  const leftOut = [
    ...named(totals.faults, preferenceFaults),
    ...named(totals.lost, pairLosses),
    ...counted([
      [totals.refused, "the chat template does not take the messages"],
      [totals.unreadable, "a text that the tokenizer cannot normalise"],
    ]),
  ];
  const kept = [
    ...named(totals.rules, preferenceRules),
    ...named(totals.forms, pairForms),
    ...counted([
      [cut.prompt, "the beginning of the prompt was cut"],
      [cut.chosen, "the end of the chosen answer was cut"],
      [cut.rejected, "the end of the rejected answer was cut"],
      [withoutEnd.chosen, "the chosen answer has no end of text"],
      [withoutEnd.rejected, "the rejected answer has no end of text"],
      [totals.unshared, "prompt and answer together do not begin as the prompt alone: its end is left out"],
      [totals.longest, "the most tokens of a prompt with its answer, before anything is cut"],
    ]),
  ];
  return [
    { heading: 2, title: `${rows} ${rows === 1 ? "row" : "rows"}, ${pairs} ${pairs === 1 ? "pair" : "pairs"}` },
    ...(kept.length === 0 ? [] : [{ lines: columns(kept, "right") }]),
    ...(leftOut.length === 0 ? [] : [{ heading: 3, title: "Left out" } as const, { lines: columns(leftOut, "right") }]),
  ];
}

function rowBlocks(row: InspectedRow): Block[] {
  const title = `Row ${row.row}`;
  if (row.kind === "none") {
    const split = row.split === null ? [] : splitLines(row.split);
    return [{ heading: 2, title }, { lines: columns([...split, ["left out", row.loss.said]]) }];
  }
  const unshared = row.unshared.length;
  const facts = [
    ...splitLines(row.split),
    ["chosen", inWords(row.chosen)],
    ["rejected", inWords(row.rejected)],
    ...(unshared === 0
      ? []
      : [["left out", `${unshared} tokens that end the prompt alone and do not begin an answer`]]),
  ];
  return [
    { heading: 2, title },
    { lines: columns(facts) },
    { heading: 3, title: "Prompt and chosen answer" },
    { lines: tokenLines(row.chosen) },
    { heading: 3, title: "Prompt and rejected answer" },
    { lines: tokenLines(row.rejected) },
    ...(unshared === 0
      ? []
      : [{ heading: 3, title: "End of the prompt alone" } as const, { lines: tokenLines(row.unshared) }]),
  ];
}

function splitLines({ rule, form }: NonNullable<InspectedRow["split"]>): string[][] {
  return [
    ["split", preferenceRules[rule]],
    ["texts", pairForms[form]],
  ];
}

function inWords(tokens: readonly InspectedToken[]): string {
  const of = (part: InspectedToken["part"]): number => tokens.filter((token) => token.part === part).length;
  const cut = [
    of("cut prompt") > 0 ? `${of("cut prompt")} cut from the beginning of the prompt` : "",
    of("cut answer") > 0 ? `${of("cut answer")} cut from the end` : "",
  ].filter((words) => words !== "");
  const counts = tokens.filter((token) => token.counts).length;
  return [
    `${of("prompt")} tokens of the prompt, ${of("answer")} of the answer, of which the loss counts ${counts}`,
    ...cut,
    `${begins(tokens) ? "with" : "without"} begin of text, ${ends(tokens) ? "with" : "without"} end of text`,
  ].join("; ");
}

/** Maximum number of tokens that are listed of a prompt with an answer. */
const MOST_LISTED = 10_000;

function tokenLines(tokens: readonly InspectedToken[]): string[] {
  const more = tokens.length - MOST_LISTED;
  return [...listed(tokens.slice(0, MOST_LISTED)), ...(more > 0 ? [`${more} more tokens are not listed`] : [])];
}

function listed(tokens: readonly InspectedToken[]): string[] {
  let place = 0;
  const rows = tokens.map(({ id, piece, part, counts, special }) => {
    const isRead = part === "prompt" || part === "answer";
    const at = isRead ? `${place}` : "";
    if (isRead) place += 1;
    return [at, `${id}`, part, counts ? "counts" : "", special ?? "", visibleLine(piece, 100)];
  });
  return columns([["place", "id", "part", "loss", "special", "token"], ...rows]);
}

/** Rows of cells, every column as wide as its widest cell; the last is not padded. */
function columns(rows: readonly (readonly string[])[], first: "left" | "right" = "left"): string[] {
  const widths = rows.reduce<number[]>(
    (found, row) => row.map((cell, at) => Math.max(found[at] ?? 0, cell.length)),
    [],
  );
  return rows.map((row) =>
    row
      .map((cell, at) => {
        if (at === row.length - 1) return visibleLine(cell, 1000);
        const width = widths[at] ?? 0;
        return at === 0 && first === "right" ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  "),
  );
}
