import { visible } from "../../common/untrusted-text.ts";
import { type Report, type ReportCell, type ReportTable, seedsInWords, sourceInWords } from "../../protocol/report.ts";

export {
  Report as reportSchema,
  type ReportCell as Cell,
  type ReportFact as Fact,
  type ReportFigure as Figure,
  type ReportSection as Section,
  type ReportSource as Source,
  type ReportTable as Table,
} from "../../protocol/report.ts";
export type { Report };

/** Renders the report as Markdown. Text from models and data appears inside tables, escaped. */
export function renderMarkdown(report: Report): string {
  const { run, about = [], summary, sections } = report;
  const whole = sections.some(({ afterRun }) => afterRun === true)
    ? "`lfp report --json` gives"
    : "`report.json` holds";
  const lines = [
    `# Run ${run}`,
    "",
    `${sentence(seedsInWords(report))}. Every table names the stage that computed it; ${whole} the same numbers in full.`,
    "",
  ];
  if (about.length > 0) {
    lines.push(
      "| | |",
      "| --- | --- |",
      ...about.map(({ name, value }) => `| ${showCell(name)} | ${showCell(value)} |`),
      "",
    );
  }
  for (const finding of summary) lines.push(`- ${finding}`);
  for (const { title, text, tables } of sections) {
    lines.push("", `## ${title}`);
    for (const paragraph of text) lines.push("", paragraph);
    for (const table of tables) lines.push("", ...renderTable(table));
  }
  return `${lines.join("\n")}\n`;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

function renderTable({ title, source, columns, rows, notes }: ReportTable): string[] {
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
    `<sub>run ${source.run}, ${sourceInWords(source)}</sub>`,
  ];
}

/** Formats numbers to four significant digits, integers whole. */
export function showCell(value: ReportCell): string {
  if (value === null) return "–";
  if (typeof value === "string") return escapeMarkdown(value);
  if (Number.isInteger(value)) return String(value);
  const size = Math.abs(value);
  return size >= 1e-4 && size < 1e6 ? String(Number(value.toPrecision(4))) : value.toExponential(2);
}

/** A share as per cent, to three significant digits. */
export function showPercent(share: number | null): string {
  return share === null ? "–" : `${Number((100 * share).toPrecision(3))} %`;
}

/** The ends of a ranked list: half of `most` (rounded up) from each, without repeats. */
export function extremes<T>(ranked: readonly T[], most: number): T[] {
  const half = Math.min(Math.ceil(most / 2), Math.floor(ranked.length / 2));
  return [...ranked.slice(0, half), ...ranked.slice(ranked.length - half)];
}

/**
 * Escapes text of a data set or a model, so that nothing in it is hidden, changes its neighbours' direction or becomes
 * a link, an image, markup, a new table cell or an automatic link.
 */
function escapeMarkdown(text: string): string {
  return visible(text.replace(/\s+/g, " "))
    .replace(/[\\`*_[\]<>|!#&~@]/g, "\\$&")
    .replace(/:\/\//g, "\\://")
    .replace(/\bwww\./gi, (found) => `${found.slice(0, 3)}\\.`);
}
