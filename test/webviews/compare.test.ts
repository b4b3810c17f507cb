import { parse } from "csv-parse/sync";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ComparePage } from "../../server/protocol/compare-page.ts";
import { compareHost, comparison } from "./fake-comparison.ts";
import { chromiumPath, PageHarness } from "./harness.ts";

describe.skipIf(chromiumPath === undefined)("runs side by side", () => {
  let harness: PageHarness;
  beforeAll(async () => {
    harness = await PageHarness.start();
  });
  afterAll(async () => await harness.stop());

  it("shows settings, findings with both kinds of interval, what is missing, and texts as text", async () => {
    await using opened = await harness.open(ComparePage, compareHost());
    const { page } = opened;
    await page.getByRole("heading", { name: "Compare 3 runs" }).waitFor();
    const rowOf = (table: string, name: string) => page.getByRole("table", { name: table }).getByRole("row", { name });
    expect(await rowOf("Runs", "quick-seed2").locator("td").allTextContents()).toEqual([
      "2",
      "done",
      "It is interrupted; not finished: ablate, report.",
    ]);
    const settings = await rowOf("Settings that differ", "data.source.file").locator("td").allTextContents();
    expect(settings).toEqual(["–", "–", '/w/<img src=x onerror="document.title=1">.jsonl']);
    const gain = rowOf("Findings", "reward gained by tuning");
    expect(await gain.locator("td").allTextContents()).toEqual([
      "0.40820.35 to 0.47",
      "0.36670.31 to 0.42",
      "−0.0213−0.08 to 0.04",
      "0.38750.1238 to 0.6511",
    ]);
    expect(await gain.getByRole("img").getAttribute("aria-label")).toBe("higher is better");
    const kl = rowOf("Findings", "KL to the base");
    expect(await kl.locator("td").allTextContents()).toEqual(["2.1", "–", "1.21 to 1.4", "–"]);
    expect(await kl.getByRole("img").count()).toBe(0);
    await page.getByText("Different versions of the code computed probe").waitFor();
    await opened.picture("compare-dark");
  });

  it("draws the runs' curves in one chart, reads them by keys and saves them", async () => {
    const host = compareHost();
    await using opened = await harness.open(ComparePage, host);
    const { page } = opened;
    const reward = page.locator("lfp-chart").first();
    const key = reward.locator(".key");
    await expect.poll(() => key.textContent()).toMatch(/last\s+quick-seed1\s+0\.59\s+quick-seed2\s+0\.28/);
    await reward.locator(".plot").focus();
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowRight");
    // The second run logged no step 2.
    await expect.poll(() => key.textContent()).toMatch(/step 2\s+quick-seed1\s+0\.01\s+quick-seed2\s+–/);
    await reward.getByRole("button", { name: "quick-seed1" }).click();
    expect(opened.states.at(-1)).toMatchObject({ page: { hidden: ["reward quick-seed1"] } });
    await reward.getByRole("button", { name: "Save as CSV" }).click();
    await expect.poll(() => host.asked.length).toBe(1);
    const [saved] = host.asked as { readonly figure: string; readonly text: string }[];
    expect(saved?.figure).toBe("curves-reward");
    const rows: string[][] = parse(saved?.text ?? "");
    expect(rows.slice(0, 3)).toEqual([
      ["step", "quick-seed2"],
      ["1", "0"],
      ["2", ""],
    ]);
  });

  it("colours texts by the difference of two runs that are chosen, and not of one with itself", async () => {
    const host = compareHost();
    await using opened = await harness.open(ComparePage, host);
    const { page } = opened;
    const show = page.locator("vscode-button", { hasText: "Colour" });
    await show.click();
    await page.getByLabel("Run A").selectOption("steady");
    await show.click();
    await expect
      .poll(() => host.asked)
      .toEqual([
        { a: 0, b: 1 },
        { a: 2, b: 1 },
      ]);
    await page.getByLabel("Run B").selectOption("steady");
    await expect.poll(() => show.getAttribute("disabled")).not.toBeNull();
  });

  it("saves the whole as Markdown and CSV, and opens a run's report", async () => {
    const host = compareHost();
    await using opened = await harness.open(ComparePage, host);
    await opened.page.getByText("Save Markdown").click();
    await opened.page.getByText("Save CSV").first().click();
    await opened.page.getByRole("table", { name: "Runs" }).getByRole("button", { name: "steady" }).click();
    await expect.poll(() => host.asked).toEqual([{ format: "markdown" }, { format: "csv" }, { run: 2 }]);
  });

  it("reads again when a run changes, and says what went wrong", async () => {
    let open = async () => comparison;
    await using opened = await harness.open(ComparePage, { ...compareHost(), open: () => open() });
    await opened.page.getByRole("heading", { name: "Compare 3 runs" }).waitFor();
    open = async () => ({ ...comparison, notes: ["They read different texts."] });
    await opened.send({ kind: "tell", name: "changed", data: {} });
    await opened.page.getByText("They read different texts.").waitFor();
    open = () => Promise.reject(new Error("the run is in none of the folders of runs"));
    await opened.send({ kind: "tell", name: "changed", data: {} });
    expect(await opened.page.getByRole("alert").textContent()).toBe("the run is in none of the folders of runs");
  });

  it("stays within a narrow window, tables scroll in themselves", async () => {
    await using opened = await harness.open(ComparePage, compareHost(), { theme: "light", width: 800, height: 600 });
    await opened.page.locator("lfp-chart").first().waitFor();
    expect(await opened.page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(800);
    await opened.picture("compare-light-narrow");
  });
});
