/** How a document holds texts: as it stands, as JSON records a line, or as cells of a table. */

export type TextFormat = "text" | "records" | "csv" | "tsv";

const recordLanguages: ReadonlySet<string> = new Set(["jsonl", "ndjson", "jsonlines", "json-lines"]);

/**
 * The format of a document, by VS Code's language id, and, as VS Code knows no language for tables by itself, by the
 * ending of a plain text's path.
 */
export function textFormatOf(languageId: string, path = ""): TextFormat {
  if (recordLanguages.has(languageId)) return "records";
  // `csv (semicolon)` and the like are those of an extension for tables.
  if (/^csv\b/.test(languageId)) return "csv";
  if (/^tsv\b/.test(languageId)) return "tsv";
  if (languageId !== "plaintext") return "text";
  const [, ending] = /\.(csv|tsv)$/i.exec(path) ?? [];
  return ending === undefined ? "text" : ending.toLowerCase() === "csv" ? "csv" : "tsv";
}
