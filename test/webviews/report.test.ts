import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AskHandlers } from "../../server/protocol/pages.ts";
import { ReportPage } from "../../server/protocol/run-pages.ts";
import { hostile, report } from "./fake-report.ts";
import { chromiumPath, PageHarness } from "./harness.ts";

function hostOf() {
  const asked: unknown[] = [];
  const note = async (what: unknown): Promise<{ saved: boolean }> => {
    asked.push(what);
    return { saved: true };
  };
  const handlers: AskHandlers<typeof ReportPage.asks> = {
    open: async () => report,
    save: note,
    saveReport: note,
    openMarkdown: async () => ({}),
  };
  return { asked, handlers };
}

describe.skipIf(chromiumPath === undefined)("the report of a run", () => {
  let harness: PageHarness;
  beforeAll(async () => {
    harness = await PageHarness.start();
  });
  afterAll(async () => await harness.stop());

  it("shows findings, figures in three forms and tables, with text of data as text", async () => {
    await using opened = await harness.open(ReportPage, hostOf().handlers);
    const { page } = opened;
    await page.getByText("Tuning raised the mean reward.").waitFor();
    await page.getByText("Removing 1-2 features changes it by −0.04 (−0.12 to 0.04).", { exact: true }).waitFor();
    const drawn = page.locator("lfp-figure");
    expect(await drawn.locator("svg").count()).toBe(3);
    expect(await page.locator("section.after p code").textContent()).toBe("lfp ablate");
    expect(await drawn.first().locator("rect.fill").count()).toBe(3 + 2);
    expect(await drawn.nth(1).locator("path.mark").count()).toBe(201 + 2);
    expect(await drawn.nth(1).locator("p").textContent()).toContain("by triple: 200 points, correlation 1.");
    expect(await drawn.nth(2).locator("p").textContent()).toContain("these features: −0.2 (−0.3 to −0.1).");
    await drawn.nth(1).getByRole("button", { name: "Show data as table" }).click();
    expect(await drawn.nth(1).locator("tbody tr").count()).toBe(200);
    expect(await page.getByRole("cell", { name: hostile }).count()).toBe(1);
    expect(await page.getByRole("cell", { name: "81.23" }).count()).toBe(1);
    expect(await page.title()).toBe("report");
    expect(await page.locator("dl.about dt").allTextContents()).toEqual(["model", "data"]);
    expect(await page.locator("dl.about dd").allTextContents()).toEqual(["owner/model", hostile]);
    const after = page.locator("section.after");
    expect(await after.getByRole("heading", { level: 2 }).allTextContents()).toEqual(["Measured after the run"]);
    expect(await after.textContent()).toContain("measured after the run, 2026-11-26 05:41 UTC");
  });

  it("has its contents at the head, which lead to the sections", async () => {
    await using opened = await harness.open(ReportPage, hostOf().handlers, { height: 400 });
    const { page } = opened;
    const contents = page.getByRole("navigation", { name: "Contents" });
    await contents.waitFor();
    expect(await contents.getByRole("button").allTextContents()).toEqual([
      "Figures",
      "Tables",
      "Measured after the run",
    ]);
    await contents.getByRole("button", { name: "Tables" }).focus();
    await page.keyboard.press("Enter");
    const heading = page.getByRole("heading", { name: "Tables", exact: true });
    await expect.poll(async () => (await heading.boundingBox())?.y ?? 999).toBeLessThan(60);
    expect(await heading.evaluate((one) => one === (one.getRootNode() as ShadowRoot).activeElement)).toBe(true);
  });

  it("shows what is measured while it is open", async () => {
    const { handlers } = hostOf();
    let found = { ...report, sections: report.sections.slice(0, 2) };
    await using opened = await harness.open(ReportPage, { ...handlers, open: async () => found });
    await opened.page.getByRole("heading", { name: "Tables" }).waitFor();
    expect(await opened.page.locator("section.after").count()).toBe(0);
    found = report;
    await opened.send({ kind: "tell", name: "changed", data: {} });
    await opened.page.getByRole("heading", { name: "Measured after the run" }).waitFor();
  });

  it("gives figures as SVG with the theme's colours written in, and as PNG", async () => {
    const { asked, handlers } = hostOf();
    await using opened = await harness.open(ReportPage, handlers);
    const points = opened.page.locator("lfp-figure").nth(1);
    await points.getByRole("button", { name: "Save as SVG" }).click();
    await points.getByRole("button", { name: "Save as PNG" }).click();
    await expect.poll(() => asked.length).toBe(2);
    const [svg, png] = asked as [{ text: string }, { base64: string }];
    expect(svg.text).toMatch(/^<svg [^>]*xmlns="http:\/\/www\.w3\.org\/2000\/svg".*<\/svg>$/s);
    expect(svg.text).toContain("rgb(79, 163, 224)");
    expect(svg.text).not.toMatch(/class=|var\(|<script/);
    const bytes = Buffer.from(png.base64, "base64");
    expect(bytes.subarray(1, 4).toString("latin1")).toBe("PNG");
    expect([bytes.readUInt32BE(16), bytes.readUInt32BE(20)]).toEqual([1120, 680]);
    await opened.page.getByText("Save JSON").click();
    await opened.page.getByText("Save Markdown").click();
    await expect.poll(() => asked.slice(2)).toEqual([{ format: "json" }, { format: "markdown" }]);
  });

  it("says why there is no report", async () => {
    const handlers = { ...hostOf().handlers, open: async () => Promise.reject(new Error("the run is not finished")) };
    await using opened = await harness.open(ReportPage, handlers);
    expect(await opened.page.getByRole("alert").textContent()).toBe("the run is not finished");
  });

  it.each(["dark", "light", "highContrast"] as const)("is drawn in the theme %s", async (theme) => {
    await using opened = await harness.open(ReportPage, hostOf().handlers, { theme });
    await opened.page.locator("lfp-figure").nth(2).waitFor();
    const grid = opened.page.locator("line.grid").first();
    // In high contrast lines of the grid have the colour of borders, as strong as the data's.
    const opacity = await grid.evaluate((line) => getComputedStyle(line).strokeOpacity);
    expect(Number(opacity)).toBe(theme === "highContrast" ? 0.35 : 1);
    await opened.picture(`report-${theme}`);
  });
});
