import { z } from "zod";

/** Where a number comes from: every table of a report carries it. */
const sourceSchema = z.object({
  run: z.string(),
  /** The stage that computed it, and the first digits of its content key. */
  stage: z.string(),
  key: z.string(),
  seed: z.int(),
});
export type Source = z.infer<typeof sourceSchema>;

const cell = z.union([z.string(), z.number(), z.null()]);
export type Cell = z.infer<typeof cell>;

const tableSchema = z.object({
  id: z.string(),
  title: z.string(),
  source: sourceSchema,
  columns: z.array(z.string()),
  rows: z.array(z.array(cell)),
  /** What a reader must know to read the table right. */
  notes: z.array(z.string()),
});
export type Table = z.infer<typeof tableSchema>;

const sectionSchema = z.object({ title: z.string(), text: z.array(z.string()), tables: z.array(tableSchema) });
export type Section = z.infer<typeof sectionSchema>;

/** `report.json`: all that a run found, as tables with their sources. */
export const reportSchema = z.object({
  format: z.literal(1),
  run: z.string(),
  seed: z.int(),
  /** One finding a line, each with its numbers. */
  summary: z.array(z.string()),
  sections: z.array(sectionSchema),
});
export type Report = z.infer<typeof reportSchema>;

/** The report as Markdown. Text from models and data comes inside tables, escaped. */
export function renderMarkdown({ run, seed, summary, sections }: Report): string {
  const lines = [
    `# Run ${run}`,
    "",
    `Seed ${seed}. Every table names the stage that computed it; \`report.json\` holds the same numbers in full.`,
    "",
  ];
  for (const finding of summary) lines.push(`- ${finding}`);
  for (const { title, text, tables } of sections) {
    lines.push("", `## ${title}`);
    for (const paragraph of text) lines.push("", paragraph);
    for (const table of tables) lines.push("", ...renderTable(table));
  }
  return `${lines.join("\n")}\n`;
}

function renderTable({ title, source, columns, rows, notes }: Table): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const alignment = columns.map((_, at) => (rows.every((row) => typeof row[at] !== "string") ? "---:" : "---"));
  return [
    `**${title}**`,
    "",
    line(columns),
    line(alignment),
    ...rows.map((row) => line(row.map(showCell))),
    "",
    ...notes.map((note) => `${note} `),
    `<sub>run ${source.run}, stage ${source.stage} (${source.key}), seed ${source.seed}</sub>`,
  ];
}

/** Numbers to four significant digits; whole ones whole. */
export function showCell(value: Cell): string {
  if (value === null) return "–";
  if (typeof value === "string") return escapeMarkdown(value);
  if (Number.isInteger(value)) return String(value);
  const size = Math.abs(value);
  return size >= 1e-4 && size < 1e6 ? String(Number(value.toPrecision(4))) : value.toExponential(2);
}

/** Nothing in a text of a data set or a model may become a link, an image, markup or a new table cell; nor an address by itself. */
function escapeMarkdown(text: string): string {
  return text
    .replace(/\s+/g, " ")
    .replace(/[\\`*_[\]<>|!#&~@]/g, "\\$&")
    .replace(/:\/\//g, "\\://")
    .replace(/\bwww\./gi, (found) => `${found.slice(0, 3)}\\.`);
}
