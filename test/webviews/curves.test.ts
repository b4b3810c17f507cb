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

  it("says what is missing, and shows a refusal of the host as text", async () => {
    const host = hostOf([]);
    const refusing = { ...host, openLog: async () => Promise.reject(new Error("no <b>log</b> here")) };
    await using opened = await harness.open(CurvesPage, refusing);
    await opened.page.getByText("No curves yet").waitFor();
    await opened.page.getByText("Open log").click();
    expect(await opened.page.getByRole("alert").textContent()).toBe("no <b>log</b> here");
  });
});
