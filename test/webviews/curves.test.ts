import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CurvesPage } from "../../server/protocol/run-pages.ts";
import { curvesHost as hostOf, logLines } from "./fake-curves.ts";
import { chromiumPath, PageHarness } from "./harness.ts";

describe.skipIf(chromiumPath === undefined)("the curves of a run", () => {
  let harness: PageHarness;
  beforeAll(async () => {
    harness = await PageHarness.start();
  });
  afterAll(async () => await harness.stop());

  it("draws what the log holds, says it in words and as a table, and draws on", async () => {
    const log = logLines(60);
    await using opened = await harness.open(CurvesPage, hostOf(log));
    const charts = opened.page.locator("lfp-chart");
    await charts.nth(9).waitFor();
    expect(await charts.locator("h2").allTextContents()).toEqual([
      "Reward",
      "KL to the base, nats a completion",
      "Entropy, nats a token",
      "Clip fraction",
      "Value loss",
      "Policy loss",
      "Autoencoders: loss",
      "Autoencoders: variance explained",
      "Autoencoders: active features a token",
      "Autoencoders: dead features",
    ]);
    const reward = charts.first();
    expect(await reward.locator("p").textContent()).toBe("0 at step 1, 0.59 at 60; lowest 0 at 1, highest 0.59 at 60.");
    expect(await reward.locator("canvas").count()).toBe(1);
    await reward.getByRole("button", { name: "Show data as table" }).click();
    const cells = await reward.locator("tbody tr").last().locator("td").allTextContents();
    expect(cells).toEqual(["60", "0.59", "0.39", "0.79"]);
    expect(opened.states.at(-1)).toMatchObject({ page: { asTable: ["reward"] } });

    log.splice(60, 0, { ...log[59], step: 61, rewardMean: 2 });
    log.splice(0, log.length, ...log.filter(({ stage }) => stage === "tune"));
    await opened.send({ kind: "tell", name: "changed", data: { name: "demo", state: { kind: "done" } } });
    await opened.page.getByText("highest 2 at 61").waitFor();
    await opened.picture("curves-dark");
  });

  it("reads values under the mouse and by keys, in place of the newest", async () => {
    await using opened = await harness.open(CurvesPage, hostOf(logLines(60)));
    const reward = opened.page.locator("lfp-chart").first();
    const key = reward.locator(".key");
    await expect.poll(() => key.textContent()).toMatch(/^\s*now\s+0\.59/);
    const plot = reward.locator(".u-over");
    const box = (await plot.boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 };
    await opened.page.mouse.move(box.x + 1, box.y + box.height / 2);
    await expect.poll(() => key.textContent()).toMatch(/^\s*step 1\s+0\s/);
    await opened.page.mouse.move(0, 0);
    await expect.poll(() => key.textContent()).toMatch(/^\s*now\s+0\.59/);
    await reward.locator(".plot").focus();
    await opened.page.keyboard.press("Home");
    await opened.page.keyboard.press("ArrowRight");
    await expect.poll(() => key.textContent()).toMatch(/^\s*step 2\s+0\.01/);
    expect(await key.getAttribute("aria-live")).toBe("polite");
    await opened.page.keyboard.press("End");
    await opened.page.keyboard.press("ArrowRight");
    await expect.poll(() => key.textContent()).toMatch(/^\s*step 60\s+0\.59/);
    await opened.picture("curves-cursor");
    await opened.page.keyboard.press("Tab");
    await expect.poll(() => key.textContent()).toMatch(/^\s*now/);
    expect(await key.getAttribute("aria-live")).toBe("off");
  });

  it("calls the values of a run that has ended its last", async () => {
    const host = hostOf(logLines(3));
    const done = { ...host, open: async () => ({ name: "demo", state: { kind: "done" as const } }) };
    await using opened = await harness.open(CurvesPage, done);
    await expect.poll(() => opened.page.locator(".key").first().textContent()).toMatch(/^\s*last\s/);
  });

  it.each(["dark", "light", "highContrast"] as const)(
    "has curves that stand out from the ground: %s",
    async (theme) => {
      await using opened = await harness.open(CurvesPage, hostOf(logLines(20)), { theme });
      const lines = opened.page.locator("lfp-chart").nth(6).locator(".swatch line");
      await lines.nth(1).waitFor({ state: "attached" });
      const drawn = await lines.evaluateAll((all) => all.map((line) => getComputedStyle(line).stroke));
      const ground = await opened.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      for (const colour of drawn) expect(contrast(colour, ground), `${colour} on ${ground}`).toBeGreaterThan(3);
    },
  );

  it("hides a curve and keeps that, and saves what is shown as table and picture", async () => {
    const host = hostOf(logLines(30));
    const saved: { format: string; figure: string; text: string }[] = [];
    const saving = {
      ...host,
      save: async (figure: (typeof saved)[number] | { format: "png"; figure: string; base64: string }) => {
        if ("text" in figure) saved.push(figure);
        return { saved: true };
      },
    };
    await using opened = await harness.open(CurvesPage, saving, { theme: "light" });
    const loss = opened.page.locator("lfp-chart").nth(6);
    const base = loss.getByRole("button", { name: "base, 128 features" });
    await base.click();
    expect(await base.getAttribute("aria-pressed")).toBe("false");
    expect(opened.states.at(-1)).toMatchObject({ page: { hidden: ["sae-loss base, 128 features"] } });
    await loss.getByRole("button", { name: "Save as CSV" }).click();
    await loss.getByRole("button", { name: "Save as SVG" }).click();
    await expect.poll(() => saved.length).toBe(2);
    const [table, picture] = saved;
    expect(table).toMatchObject({ format: "csv", figure: "curves-sae-loss" });
    expect(table?.text.split("\n").slice(0, 2)).toEqual([
      'step,"tuned, 128 features","tuned, 128 features, low","tuned, 128 features, high"',
      "0,1.05,1,1.1",
    ]);
    expect(picture?.text).toContain('stroke="#1a85ff"');
    expect(picture?.text).not.toContain("#d18616");
    expect(picture?.text).not.toMatch(/var\(|<script/);
    await opened.picture("curves-hidden");
  });

  it("is where it was left when it is shown again", async () => {
    const state = { asTable: ["kl"], scroll: 220 };
    await using opened = await harness.open(CurvesPage, hostOf(logLines(40)), { state, height: 300 });
    await expect.poll(() => opened.page.evaluate(() => window.scrollY)).toBe(220);
  });

  it("keeps its tables when shown again, and redraws on a change of theme", async () => {
    await using opened = await harness.open(CurvesPage, hostOf(logLines(40)), {
      theme: "light",
      state: { asTable: ["kl"], scroll: 0 },
    });
    const kl = opened.page.locator("lfp-chart").nth(1);
    await kl.locator("tbody").waitFor();
    await opened.picture("curves-light");
    const axisPixel = async (): Promise<string> =>
      await kl.locator("canvas").evaluate((canvas) => (canvas instanceof HTMLCanvasElement ? canvas.toDataURL() : ""));
    const light = await axisPixel();
    await opened.changeTheme("highContrast");
    await expect.poll(axisPixel).not.toBe(light);
    await opened.picture("curves-high-contrast");
  });

  it("says of a run that is done that it has no log, and not that its curves are still to come", async () => {
    const done = { ...hostOf([]), open: async () => ({ name: "demo", state: { kind: "done" as const } }) };
    await using opened = await harness.open(CurvesPage, done);
    await opened.page.getByText("No curves: the run's folder has no log of its steps.").waitFor();
  });

  it("says what is missing, and shows a refusal of the host as text", async () => {
    const host = hostOf([]);
    const refusing = { ...host, openLog: async () => Promise.reject(new Error("no <b>log</b> here")) };
    await using opened = await harness.open(CurvesPage, refusing);
    await opened.page.getByText("No curves yet").waitFor();
    await opened.page.getByText("Open log").click();
    expect(await opened.page.getByRole("alert").textContent()).toBe("no <b>log</b> here");
  });
});

/** Contrast of two opaque colours as CSS computes them (WCAG 2.2, relative luminance). */
function contrast(one: string, other: string): number {
  const luminance = (colour: string): number => {
    const [red = 0, green = 0, blue = 0] = (colour.match(/[\d.]+/g) ?? []).slice(0, 3).map((channel) => {
      const share = Number(channel) / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}
