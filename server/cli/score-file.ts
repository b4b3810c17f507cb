/** All token scores as a file: one token a line. */
import type { ScoredDocumentToken, ScoredPassage } from "../lens/document.ts";
import { UsageError } from "./errors.ts";

type Format = "jsonl" | "csv";

const columns = ["passage", "start", "end", "text", "implicit", "trueReward", "familiarity", "value"] as const;

/** By the file's ending. Throws `UsageError`. */
export function formatOf(path: string): Format {
  const ending = /\.(jsonl|csv)$/i.exec(path)?.[1]?.toLowerCase();
  if (ending === "jsonl" || ending === "csv") return ending;
  throw new UsageError(`--out is ${JSON.stringify(path)}; expected a file that ends in .jsonl or .csv`);
}

/** The file's bytes, passage by passage. */
export async function* tokenLines(passages: AsyncIterable<ScoredPassage>, format: Format): AsyncGenerator<Uint8Array> {
  const utf8 = new TextEncoder();
  if (format === "csv") yield utf8.encode(`${columns.join(",")}\n`);
  let number = 0;
  for await (const { tokens } of passages) {
    const lines = tokens.map((token) =>
      format === "csv" ? csvLine(number, token) : `${JSON.stringify({ passage: number, ...token })}\n`,
    );
    number += 1;
    yield utf8.encode(lines.join(""));
  }
}

function csvLine(passage: number, { start, end, text, ...numbers }: ScoredDocumentToken): string {
  const { implicit, trueReward, familiarity, value } = numbers;
  return `${passage},${start},${end},"${text.replaceAll('"', '""')}",${implicit},${trueReward ?? ""},${familiarity ?? ""},${value ?? ""}\n`;
}
