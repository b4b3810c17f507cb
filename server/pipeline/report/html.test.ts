import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { prose, short } from "../../../drawing/format.ts";
import { hostile, report as hostileReport } from "../../../test/webviews/fake-report.ts";
import { Report } from "../../protocol/report.ts";
import { renderHtml } from "./html.ts";

/** The bundled run's report. */
async function bundledReport(): Promise<Report> {
  const path = fileURLToPath(new URL("../../../assets/starter-run/report.json", import.meta.url));
  return Report.parse(JSON.parse(await readFile(path, "utf8")));
}

describe("a report as HTML", () => {
  it("is well-formed, with headings in order", async () => {
    for (const report of [hostileReport, await bundledReport()]) {
      const names = openedTags(renderHtml(report));
      const headings = names.filter((name) => /^h\d$/.test(name)).map((name) => Number(name.slice(1)));
      expect(headings[0]).toBe(1);
      expect(headings.filter((level) => level === 1)).toHaveLength(1);
      for (const [at, level] of headings.entries()) expect(level - (headings[at - 1] ?? 0)).toBeLessThanOrEqual(1);
      expect(names.filter((name) => name === "main")).toHaveLength(1);
    }
  });

  it("has no script, no handler and nothing to load, whatever the texts are", async () => {
    const named = { ...hostileReport, run: `"><script src="https://example.org/x.js"></script>` };
    for (const html of [renderHtml(named), renderHtml(await bundledReport())]) {
      expect(openedTags(html)).not.toEqual(
        expect.arrayContaining([expect.stringMatching(/^(script|img|link|iframe)$/)]),
      );
      for (const [tag] of html.matchAll(/<[a-z][^>]*>/g)) {
        expect(tag).not.toMatch(/\son[a-z]+=|\ssrc=|\shref="(?!#)|style=/);
        if (!tag.startsWith("<meta")) expect(tag.replace(/aria-label="[^"]*"/, "")).not.toContain("http");
      }
      expect(html).not.toMatch(/url\(|@import/);
    }
  });

  it("shows a text as it is, and what would act in it as visible escapes", () => {
    const html = renderHtml({ ...hostileReport, summary: ["a \u202etxet\u0007 & <b>"] });
    expect(textsOf(html, "td")).toContain(hostile);
    expect(textsOf(html, "dd")).toContain(hostile);
    expect(textsOf(html, "title").some((title) => title.startsWith(`${hostile}: −1, 1`))).toBe(true);
    expect(textsOf(html, "li")).toContain("a \\u202etxet\\u0007 & <b>");
  });

  it("has every finding, table and figure of the report, in its order", async () => {
    const report = await bundledReport();
    const html = renderHtml(report);
    const { sections } = report;
    const tables = sections.flatMap((section) => section.tables);
    const cells = tables.flatMap(({ rows }) => rows.flat());
    expect(cells.length).toBeGreaterThan(100);
    const columns = tables.flatMap((table) => table.columns).filter((name) => name === "");
    const shown = textsOf(html, "td").length - columns.length;
    expect(shown).toBe(cells.length);
    const numbers = cells.filter((cell) => typeof cell === "number").map(short);
    expect(inOrder(textsOf(html, "td"), numbers)).toBe(true);
    const figures = sections.flatMap((section) => section.figures);
    expect(figures.length).toBeGreaterThan(3);
    expect(openedTags(html).filter((name) => name === "svg")).toHaveLength(figures.length);
    const titles = sections.flatMap((section) => [...section.figures, ...section.tables].map(({ title }) => title));
    expect(textsOf(html, "h3")).toEqual(titles);
    expect(textsOf(html, "h2")).toEqual(["Findings", ...sections.map(({ title }) => title)]);
    const findings = report.summary.map((finding) => prose(finding).replaceAll("`", ""));
    expect(findings.length).toBeGreaterThan(3);
    expect(textsOf(html, "li")).toEqual([...sections.map(({ title }) => title), ...findings]);
    const marks = figures.flatMap((figure) => (figure.kind === "intervals" ? figure.rows : []));
    expect(openedTags(html).filter((name) => name === "circle")).toHaveLength(marks.length);
  });
});

/** The names of a document's elements in the order of their start. Throws where it is not well-formed. */
function openedTags(html: string): string[] {
  const open: string[] = [];
  const names: string[] = [];
  const body = html.replace(/^<!DOCTYPE html>/, "").replace(/(<style>)[^<]*(<\/style>)/, "$1$2");
  const text = body.replace(
    /<(\/?)([a-z]\w*)((?:\s+[\w-]+="[^"<]*")*)(\/?)>/gi,
    (_, close, name, _attributes, alone) => {
      if (close === "/") expect(open.pop()).toBe(name);
      else {
        names.push(name);
        if (alone !== "/") open.push(name);
      }
      return "";
    },
  );
  expect(open).toEqual([]);
  expect(text).not.toMatch(/[<>]|&(?!amp;|lt;|gt;|quot;|#39;)/);
  return names;
}

/** The texts of all elements of a name. */
function textsOf(html: string, name: string): string[] {
  const found = html.matchAll(new RegExp(`<${name}(?:\\s[^>]*)?>(.*?)</${name}>`, "gs"));
  return [...found].map(([, inside = ""]) =>
    inside
      .replace(/<[^>]*>/g, "")
      .replace(/&lt;/g, "<")
      .replace(/&gt;/g, ">")
      .replace(/&quot;/g, '"')
      .replace(/&#39;/g, "'")
      .replace(/&amp;/g, "&"),
  );
}

/** Whether `some` are among `all` in this order. */
function inOrder(all: readonly string[], some: readonly string[]): boolean {
  let at = 0;
  for (const one of all) if (one === some[at]) at++;
  return at === some.length;
}
