/** Writes all tokens' numbers to a file: one token per line. */
import { csvCell } from "../protocol/csv.ts";
import { UsageError } from "./errors.ts";

type Format = "jsonl" | "csv";

/** The format for a file's extension. Throws `UsageError`. */
export function formatOf(path: string): Format {
  const ending = /\.(jsonl|csv)$/i.exec(path)?.[1]?.toLowerCase();
  if (ending === "jsonl" || ending === "csv") return ending;
  throw new UsageError(`--out is ${JSON.stringify(path)}; expected a file that ends in .jsonl or .csv`);
}

/** A token's numbers: the fields of a line. */
export type TokenFields<K extends string> = Readonly<Record<K, string | number | null>>;

/** The file's bytes, passage by passage; `columns` are CSV's, after the passage's number. */
export async function* tokenLines<K extends string>(
  passages: AsyncIterable<{ readonly tokens: readonly TokenFields<K>[] }>,
  columns: readonly K[],
  format: Format,
): AsyncGenerator<Uint8Array> {
  const utf8 = new TextEncoder();
  if (format === "csv") yield utf8.encode(`${["passage", ...columns].join(",")}\n`);
  let passage = 0;
  for await (const { tokens } of passages) {
    const lines = tokens.map((token) =>
      format === "csv"
        ? `${[passage, ...columns.map((column) => csvCell(token[column]))].join(",")}\n`
        : `${JSON.stringify({ passage, ...token })}\n`,
    );
    passage += 1;
    yield utf8.encode(lines.join(""));
  }
}
