/**
 * A report as one HTML file: findings, figures and tables as the editor's page shows them, without a script and with
 * nothing to fetch, in the reader's light or dark colours.
 */
import type { SvgElement } from "../../../drawing/element.ts";
import { drawFigure, figureStyles, heightOf, width } from "../../../drawing/figure.ts";
import { prose, short } from "../../../drawing/format.ts";
import { figureInWords } from "../../../drawing/words.ts";
import { visible } from "../../common/untrusted-text.ts";
import { seedsInWords, sourceInWords } from "../../protocol/report.ts";
import type { Cell, Fact, Figure, Report, Section, Table } from "./document.ts";

/** Renders the report as an HTML document that is well-formed XML too. All text of it is escaped. */
export function renderHtml(report: Report): string {
  const { run, about = [], summary, sections } = report;
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/>
<title>Run ${escaped(run)}</title>
<style>${pageStyles}${figureStyles}</style>
</head>
<body>
<main>
<h1>Run ${escaped(run)}</h1>
<p class="dim">${escaped(seedsInWords(report))}</p>
${factsHtml(about)}${contentsHtml(sections)}<h2>Findings</h2>
<ul>${summary.map((finding) => `<li>${withCode(finding)}</li>`).join("")}</ul>
${sections.map(sectionHtml).join("\n")}
</main>
</body>
</html>
`;
}

function factsHtml(about: readonly Fact[]): string {
  const facts = about.map(({ name, value }) => `<dt>${escaped(name)}</dt><dd>${escaped(value)}</dd>`);
  return facts.length === 0 ? "" : `<dl>${facts.join("")}</dl>\n`;
}

function contentsHtml(sections: readonly Section[]): string {
  const links = sections.map(({ title }, at) => `<li><a href="#section-${at}">${escaped(title)}</a></li>`);
  return links.length < 2 ? "" : `<nav aria-label="Contents"><ol>${links.join("")}</ol></nav>\n`;
}

function sectionHtml({ title, text, figures, tables, afterRun }: Section, at: number): string {
  const id = `section-${at}`;
  return `<section aria-labelledby="${id}"${afterRun === true ? ' class="after"' : ""}>
<h2 id="${id}">${escaped(title)}</h2>
${text.map((paragraph) => `<p class="text">${withCode(paragraph)}</p>\n`).join("")}${figuresHtml(figures)}${tables.map(tableHtml).join("\n")}
</section>`;
}

function figuresHtml(figures: readonly Figure[]): string {
  return figures.length === 0 ? "" : `<div class="figures">${figures.map(figureHtml).join("\n")}</div>\n`;
}

function figureHtml(figure: Figure): string {
  const { title, notes, source } = figure;
  const words = figureInWords(figure);
  const box = `viewBox="0 0 ${width} ${heightOf(figure)}" role="img" aria-label="${escaped(`${title}. ${words}`)}"`;
  return `<figure>
<figcaption><h3>${escaped(title)}</h3></figcaption>
<svg ${box}>${drawFigure(figure).map(svgText).join("\n")}</svg>
<p class="small dim">${withCode([words, ...notes].join(" "))} ${sourceHtml(source)}</p>
</figure>`;
}

function tableHtml({ title, columns, rows, notes, source }: Table): string {
  const classes = columns.map((_, at) => (rows.every((row) => typeof row[at] !== "string") ? ' class="num"' : ""));
  // A head without a name is no head to a screen reader.
  const head = columns.map((name, at) =>
    name === "" ? "<td></td>" : `<th scope="col"${classes[at]}>${escaped(name)}</th>`,
  );
  const line = (row: readonly Cell[]): string =>
    `<tr>${row.map((cell, at) => `<td${classes[at] ?? ""}>${cellHtml(cell)}</td>`).join("")}</tr>`;
  const name = escaped(title);
  return `<div class="table" tabindex="0" role="region" aria-label="${name}">
<h3>${name}</h3>
<table><thead><tr>${head.join("")}</tr></thead><tbody>
${rows.map(line).join("\n")}
</tbody></table>
<p class="small dim">${withCode(notes.join(" "))} ${sourceHtml(source)}</p>
</div>`;
}

function sourceHtml(source: Figure["source"]): string {
  const words = `run ${source.run}, ${sourceInWords(source)}.`;
  return `<span class="source">${escaped(words)}</span>`;
}

function cellHtml(cell: Cell): string {
  return typeof cell === "number" ? short(cell) : escaped(cell ?? "–");
}

/** Text between backticks as code, as in the report's Markdown. */
function withCode(text: string): string {
  return text
    .split("`")
    .map((part, at) => (at % 2 === 1 ? `<code>${escaped(part)}</code>` : escaped(prose(part))))
    .join("");
}

function svgText({ name, attributes, children }: SvgElement): string {
  const given = Object.entries(attributes).map(([attribute, value]) => ` ${attribute}="${escaped(shortest(value))}"`);
  const inside = children.map((child) => (typeof child === "string" ? escaped(child) : svgText(child)));
  return `<${name}${given.join("")}>${inside.join("")}</${name}>`;
}

/** A coordinate to a hundredth of a pixel, as a figure may have thousands of points. */
function shortest(value: string | number): string {
  const rounded = (number: number): string => String(Math.round(100 * number) / 100);
  return typeof value === "number"
    ? rounded(value)
    : value.replace(/-?\d+\.\d{3,}/g, (found) => rounded(Number(found)));
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text of models and data with markup inert, and characters that act or hide visible. */
function escaped(text: string): string {
  return visible(text.replace(/\s+/g, " ")).replace(/[&<>"']/g, (found) => entities[found] ?? "");
}

/** The variables that figures' styles use, and the page itself, for light and dark. */
const pageStyles = `
  :root {
    --ground: #ffffff;
    --vscode-foreground: #1f2328;
    --vscode-font-family: system-ui, sans-serif;
    --vscode-charts-green: #388a34;
    --lfp-dim: #59636e;
    --lfp-line: #d1d9e0;
    --pos: 0, 114, 178;
    --neg: 213, 94, 0;
  }
  @media screen and (prefers-color-scheme: dark) {
    :root {
      color-scheme: dark;
      --ground: #1e1e1e;
      --vscode-foreground: #d4d4d4;
      --vscode-charts-green: #89d185;
      --lfp-dim: #9d9d9d;
      --lfp-line: #3c3c3c;
      --pos: 79, 163, 224;
      --neg: 232, 131, 58;
    }
  }
  body { margin: 24px; background: var(--ground); color: var(--vscode-foreground); font: 14px/1.5 var(--vscode-font-family); }
  main { max-width: 1180px; margin: 0 auto; }
  h2 { border-top: 1px solid var(--lfp-line); padding-top: 14px; margin: 24px 0 8px; }
  h3 { margin: 0 0 4px; font-size: 14px; }
  a { color: inherit; }
  dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 14px; max-width: 900px; }
  dt, .dim { color: var(--lfp-dim); }
  dd { margin: 0; overflow-wrap: anywhere; }
  nav ol { columns: 2; column-gap: 28px; max-width: 900px; }
  nav li { break-inside: avoid; }
  nav a { display: inline-block; min-height: 24px; min-width: 24px; }
  ul, .text { max-width: 900px; }
  .small { font-size: 12px; margin: 2px 0 4px; max-width: 900px; }
  .source { display: inline-block; }
  .source::first-letter { text-transform: uppercase; }
  .figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(460px, 100%), 1fr)); gap: 20px 28px; margin: 10px 0 14px; }
  figure { margin: 0; }
  svg { display: block; width: 100%; max-width: ${width}px; height: auto; }
  .after { border-left: 3px solid var(--lfp-line); padding-left: 14px; }
  .table { overflow-x: auto; margin: 14px 0; }
  table { border-collapse: collapse; }
  th, td { padding: 3px 12px 3px 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--lfp-line); }
  .num { text-align: right; font-variant-numeric: tabular-nums; }
  @media print {
    body { margin: 0; font-size: 11px; }
    td, th { overflow-wrap: anywhere; }
    .table { overflow: visible; }
    figure, tr { break-inside: avoid; }
    h2, h3 { break-after: avoid; }
  }
`;
