/** axe-core over every page in every kind of theme: WCAG 2.2 A and AA, landmarks, headings, tables. */
import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type axe from "axe-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { renderHtml } from "../../server/pipeline/report/html.ts";
import { AblationPage } from "../../server/protocol/ablation-page.ts";
import { ComparePage } from "../../server/protocol/compare-page.ts";
import { FeaturePage, FeaturesPage } from "../../server/protocol/feature-pages.ts";
import { CurvesPage, ReportPage } from "../../server/protocol/run-pages.ts";
import { ablationHost } from "./fake-ablation.ts";
import { compareHost } from "./fake-comparison.ts";
import { curvesHost, logLines } from "./fake-curves.ts";
import { featureHost } from "./fake-feature.ts";
import { fakeRows, queryRows } from "./fake-features.ts";
import { report } from "./fake-report.ts";
import { chromiumPath, type OpenOptions, type OpenPage, PageHarness } from "./harness.ts";
import { themes } from "./themes.ts";

const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const source = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const done = async () => ({});
const saved = async () => ({ saved: true });
const rows = fakeRows(60);
const alphabetical = (a: string, b: string): number => a.localeCompare(b);

/** Each page with everything open that can be, and what says that it is drawn. */
const pages = {
  features: async (harness: PageHarness, options: OpenOptions) => {
    const opened = await harness.open(
      FeaturesPage,
      {
        open: async () => ({
          runName: "demo",
          store: {
            dictionaries: [
              { model: "tuned" as const, size: "small" as const, layers: [0, 1, 2], features: 60, alive: 60 },
              { model: "tuned" as const, size: "big" as const, layers: [0, 1], features: 512, alive: 400 },
            ],
            labels: ["keep"],
            earlier: [],
          },
        }),
        query: async ({ query, offset, count }) => queryRows(rows, query, offset, count),
        annotate: () => Promise.reject(new Error("not here")),
        openFeature: done,
        explain: done,
        save: saved,
      },
      options,
    );
    await opened.page.locator(".body .row .id").first().waitFor();
    await opened.page.getByText("Columns", { exact: true }).click();
    return opened;
  },
  feature: async (harness: PageHarness, options: OpenOptions) => {
    const opened = await harness.open(FeaturePage, featureHost().handlers, {
      ...options,
      state: { text: "a good one" },
    });
    await opened.page.locator(".t.s3").first().waitFor();
    await opened.page.getByText("Read Text").click();
    await opened.page.getByText(/^strongest \d/).waitFor();
    return opened;
  },
  ablation: async (harness: PageHarness, options: OpenOptions) => {
    const opened = await harness.open(AblationPage, ablationHost().handlers, { width: 300, ...options });
    await opened.page.getByRole("button", { name: "Measure the Set" }).click();
    await opened.send({ kind: "tell", name: "changed", data: {} });
    await opened.page.getByRole("img", { name: /^this set/ }).waitFor();
    return opened;
  },
  curves: async (harness: PageHarness, options: OpenOptions) => {
    const opened = await harness.open(CurvesPage, curvesHost(logLines(40)), options);
    await opened.page.locator("lfp-chart").nth(9).waitFor();
    await opened.page.getByRole("button", { name: "Show data as table" }).first().click();
    return opened;
  },
  compare: async (harness: PageHarness, options: OpenOptions) => {
    const opened = await harness.open(ComparePage, compareHost(), options);
    await opened.page.locator("lfp-chart").nth(9).waitFor();
    await opened.page.getByRole("button", { name: "Show data as table" }).first().click();
    return opened;
  },
  report: async (harness: PageHarness, options: OpenOptions) => {
    const handlers = { open: async () => report, save: saved, saveReport: saved, openMarkdown: done };
    const opened = await harness.open(ReportPage, handlers, options);
    const tables = opened.page.getByRole("button", { name: "Show data as table" });
    await tables.nth(2).waitFor();
    for (let figure = 0; figure < 3; figure += 1) await tables.first().click();
    return opened;
  },
} satisfies Record<string, (harness: PageHarness, options: OpenOptions) => Promise<OpenPage>>;

it("every page is among those that axe-core checks", async () => {
  const folder = fileURLToPath(new URL("../../webviews", import.meta.url));
  const files = await readdir(folder, { recursive: true });
  const built = files.flatMap((file) => /^(\w+)[\\/]main\.ts$/.exec(file)?.[1] ?? []);
  expect(Object.keys(pages).sort(alphabetical)).toEqual(built.sort(alphabetical));
});

describe.skipIf(chromiumPath === undefined)("axe-core finds nothing", () => {
  let harness: PageHarness;
  beforeAll(async () => {
    harness = await PageHarness.start();
  });
  afterAll(async () => await harness.stop());

  const themeNames = Object.keys(themes) as (keyof typeof themes)[];
  const cases = Object.entries(pages).flatMap(([name, open]) => themeNames.map((theme) => ({ name, theme, open })));

  it.each(cases)("in the page $name in the theme $theme", async ({ open, theme }) => {
    await using opened = await open(harness, { theme });
    expect(await violationsIn(opened)).toEqual([]);
  });

  it.each(["light", "dark"] as const)("in the report as a file of its own, %s", async (colorScheme) => {
    await using opened = await pages.report(harness, {});
    // The page's own policy would hold for what is put into it.
    await opened.page.goto("about:blank");
    await opened.page.emulateMedia({ colorScheme });
    await opened.page.setContent(renderHtml(report));
    const ground = await opened.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    expect(ground).toBe({ light: "rgb(255, 255, 255)", dark: "rgb(30, 30, 30)" }[colorScheme]);
    expect(await opened.page.locator("path.mark").count()).toBe(201 + 2);
    expect(await violationsIn(opened)).toEqual([]);
    await opened.page.emulateMedia({ colorScheme, media: "print" });
    const onPaper = await opened.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    expect(onPaper).toBe("rgb(255, 255, 255)");
  });

  it("but finds what it looks for: text without contrast, and content outside of landmarks", async () => {
    await using opened = await pages.report(harness, { theme: "light" });
    await opened.page.evaluate(() => {
      const bad = document.createElement("p");
      bad.textContent = "hardly to be seen";
      bad.setAttribute("class", "bad");
      document.body.append(bad);
      bad.style.setProperty("color", "#e0e0e0");
    });
    const found = (await violationsIn(opened)).join("\n");
    expect(found).toContain("color-contrast: .bad");
    expect(found).toContain("region: .bad");
  });
});

/** A line for each node that breaks a rule. */
async function violationsIn({ page }: OpenPage): Promise<string[]> {
  await page.evaluate(source);
  const { violations } = await page.evaluate(async (values) => {
    const { axe: checker } = window as unknown as { axe: typeof axe };
    return await checker.run(document, { runOnly: { type: "tag", values }, resultTypes: ["violations"] });
  }, tags);
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(
      ({ target, failureSummary = "" }) => `${id}: ${target.flat().join(" ")} ${failureSummary.split("\n")[1] ?? ""}`,
    ),
  );
}
