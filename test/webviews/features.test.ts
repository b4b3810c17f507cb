import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FeaturesPage } from "../../server/protocol/feature-pages.ts";
import type { AskHandlers } from "../../server/protocol/pages.ts";
import { fakeRows, queryRows } from "./fake-features.ts";
import { chromiumPath, PageHarness } from "./harness.ts";

const all = fakeRows(100_000);

function hostOf(rows = all) {
  const asked: { name: string; params: unknown }[] = [];
  const note = (name: string) => async (params: unknown) => {
    asked.push({ name, params });
    return { saved: true };
  };
  const handlers: AskHandlers<typeof FeaturesPage.asks> = {
    open: async () => ({
      runName: "starter-vader",
      store: {
        dictionaries: [
          { model: "tuned", size: "small", layers: [0, 1, 2, 3, 4, 5], features: 100_512, alive: rows.length },
          { model: "tuned", size: "big", layers: [0, 1], features: 512, alive: 400 },
        ],
        labels: ["keep"],
        earlier: [{ path: "/state/old/features.sqlite", left: { notes: 2, labels: 1, pins: 0 }, problem: null }],
      },
    }),
    query: async ({ query, offset, count }) => {
      asked.push({ name: "query", params: { query, offset, count } });
      return queryRows(rows, query, offset, count);
    },
    annotate: async ({ id, pinned }) => {
      const row = rows.find((one) => one.id === id) ?? rows[0];
      if (row === undefined) throw new Error("no such feature");
      return { ...row, pinned: pinned ?? row.pinned };
    },
    openFeature: async (params) => {
      await note("openFeature")(params);
      return {};
    },
    explain: async (params) => {
      await note("explain")(params);
      return {};
    },
    save: note("save"),
  };
  const lastQuery = (): unknown => {
    const last = asked.findLast(({ name }) => name === "query")?.params;
    return typeof last === "object" && last !== null && "query" in last ? last.query : undefined;
  };
  return { asked, handlers, lastQuery };
}

describe.skipIf(chromiumPath === undefined)("the table of 100,000 features", () => {
  let harness: PageHarness;
  beforeAll(async () => {
    harness = await PageHarness.start();
  });
  afterAll(async () => await harness.stop());

  it("shows its first page within 200 ms of the host's answer", async () => {
    const times: number[] = [];
    // The best of three: the machine may be at other work.
    for (let attempt = 0; attempt < 3; attempt += 1) {
      await using opened = await harness.open(FeaturesPage, hostOf().handlers);
      await opened.page.locator(".body .row .id").first().waitFor();
      const renewed = opened.page.evaluate(firstRowsMs);
      await opened.send({ kind: "tell", name: "changed", data: {} });
      times.push(await renewed);
    }
    console.log(`features page: rows ${times.map((ms) => ms.toFixed(0)).join(", ")} ms after the host's answer`);
    expect(Math.min(...times)).toBeLessThan(200);
  });

  it("never has more than 100 rows, however one scrolls on however tall a screen", async () => {
    await using opened = await harness.open(FeaturesPage, hostOf().handlers, { height: 2000 });
    const rows = opened.page.locator(".body .row");
    await rows.first().locator(".id").waitFor();
    expect(await opened.page.getByRole("grid").getAttribute("aria-rowcount")).toBe("100001");
    const grid = opened.page.locator(".grid");
    for (const offset of [500, 40_000, 1_399_986, 2_800_000, 7]) {
      await grid.evaluate((element, top) => element.scrollTo(0, top), offset);
      await expect.poll(async () => await rows.count()).toBeGreaterThan(20);
      expect(await rows.count()).toBeLessThanOrEqual(100);
    }
    await expect.poll(async () => await rows.first().getAttribute("aria-rowindex")).toBe("2");
  });

  it("stays smooth while one scrolls: a frame costs less than 50 ms of work", async () => {
    await using opened = await harness.open(FeaturesPage, hostOf().handlers);
    await opened.page.locator(".id").first().waitFor();
    const frames = 60;
    const workMs = await workMeter(opened.page);
    const before = await workMs();
    await opened.page.locator(".grid").evaluate(async (grid, count) => {
      for (let frame = 0; frame < count; frame += 1) {
        grid.scrollTop += 90;
        await new Promise((resolve) => requestAnimationFrame(resolve));
      }
    }, frames);
    const frameMs = ((await workMs()) - before) / frames;
    console.log(`features page: ${frameMs.toFixed(1)} ms of work a frame while scrolling`);
    expect(frameMs).toBeGreaterThan(0);
    expect(frameMs).toBeLessThan(50);
  });

  it("asks for the best matches first while one searches, and says where a word was found", async () => {
    const host = hostOf();
    await using opened = await harness.open(FeaturesPage, host.handlers);
    const { page } = opened;
    await page.getByRole("textbox", { name: "Search features" }).fill("negation");
    await expect.poll(host.lastQuery).toMatchObject({ search: "negation", sort: "match" });
    await page.getByText("found in its examples").first().waitFor();
    await page.getByRole("textbox", { name: "Search features" }).fill("");
    await expect.poll(host.lastQuery).toMatchObject({ search: "", sort: "contribution" });
  });

  it("leaves sort, filter and search to the host, and keeps them", async () => {
    const host = hostOf();
    await using opened = await harness.open(FeaturesPage, host.handlers);
    const { page } = opened;
    await page.locator(".id").first().waitFor();
    await opened.picture("features-dark");
    await page.getByRole("button", { name: "Active on" }).click();
    await expect.poll(host.lastQuery).toMatchObject({ sort: "density", descending: true });
    await page.getByRole("button", { name: "Active on" }).click();
    await expect.poll(host.lastQuery).toMatchObject({ sort: "density", descending: false });
    expect(await page.getByRole("columnheader", { name: "Active on" }).getAttribute("aria-sort")).toBe("ascending");
    await page.getByText("Relevant only").click();
    await page.getByRole("textbox", { name: "Search features" }).fill("negation");
    await expect.poll(host.lastQuery).toMatchObject({ relevant: true, search: "negation" });
    await page
      .getByText("9,375 features")
      .or(page.getByText(/^[\d,]+ features$/))
      .first()
      .waitFor();
    await page.getByRole("textbox", { name: "Search features" }).fill("no such thing");
    await page.getByText("No feature fits.").waitFor();
    await page.getByText("0 features").waitFor();
    expect(opened.states.at(-1)).toMatchObject({
      page: { query: { search: "no such thing", relevant: true, sort: "density" } },
    });
  });

  it("has room for the name and the arrow of every column that it is sorted by", async () => {
    await using opened = await harness.open(FeaturesPage, hostOf().handlers);
    const { page } = opened;
    await page.locator(".id").first().waitFor();
    const names = await page.locator(".sort").allTextContents();
    expect(names.length).toBeGreaterThan(5);
    for (const name of names.map((text) => text.replace("↓", "").trim())) {
      const heading = page.getByRole("columnheader", { name });
      if ((await heading.getAttribute("aria-sort")) === "none") await heading.getByRole("button").click();
      await heading.getByText(/[↓↑]/).waitFor();
      expect(await heading.evaluate((element) => element.scrollWidth - element.clientWidth), name).toBe(0);
    }
  });

  it("is gone through with the keyboard: arrows, end, enter, space", async () => {
    const host = hostOf();
    await using opened = await harness.open(FeaturesPage, host.handlers);
    const { page } = opened;
    await page.locator(".id").first().waitFor();
    const grid = page.getByRole("grid");
    await grid.focus();
    for (const key of ["ArrowDown", "ArrowDown", "ArrowUp"]) await page.keyboard.press(key);
    expect(await grid.getAttribute("aria-activedescendant")).toBe("row-1");
    const second = page.locator("#row-1");
    const id = await second.locator(".id").textContent();
    await page.keyboard.press("Enter");
    await expect
      .poll(() => host.asked)
      .toContainEqual({
        name: "openFeature",
        params: { id, keep: false, query: expect.objectContaining({ sort: "contribution" }) },
      });
    await page.keyboard.press(" ");
    await second.getByRole("button", { name: `Pin ${id}`, pressed: true }).waitFor();
    await page.keyboard.press("End");
    await page.locator("#row-99999 .id").waitFor();
    await page.keyboard.press("Home");
    await page.locator("#row-0 .id").waitFor();
  });

  it("chooses columns, exports the query, and asks to explain those that the method picks", async () => {
    const host = hostOf();
    await using opened = await harness.open(FeaturesPage, host.handlers);
    const { page } = opened;
    await page.locator(".id").first().waitFor();
    await page.getByText("Columns").click();
    await page
      .locator("vscode-checkbox", { hasText: "" })
      .filter({ has: page.getByRole("checkbox", { name: "Twin" }) })
      .click();
    await expect.poll(async () => await page.getByRole("columnheader", { name: "Twin" }).count()).toBe(0);
    await page.getByText("Export").click();
    await page.getByText("As CSV").click();
    await page.getByText("Explain…").click();
    await expect
      .poll(() => host.asked.filter(({ name }) => name !== "query"))
      .toMatchObject([
        { name: "save", params: { format: "csv", query: { sort: "contribution" } } },
        { name: "explain", params: { ids: null } },
      ]);
    expect(opened.states.at(-1)).not.toMatchObject({ page: { columns: expect.arrayContaining(["twin"]) } });
  });

  it("has menus that close on Escape, by a choice and by a click elsewhere, which opens no feature", async () => {
    const host = hostOf();
    await using opened = await harness.open(FeaturesPage, host.handlers);
    const { page } = opened;
    await page.locator(".id").first().waitFor();
    const openMenus = page.locator("details.menu[open]");
    await page.getByText("Columns").click();
    await page.getByText("Export").click();
    expect(await openMenus.count()).toBe(1);
    await page.keyboard.press("Escape");
    expect(await openMenus.count()).toBe(0);
    await page.getByText("Export").click();
    await page.locator("#row-8 .id").click();
    expect(await openMenus.count()).toBe(0);
    await page.getByText("Export").click();
    await page.getByText("As JSON").click();
    expect(await openMenus.count()).toBe(0);
    expect(host.asked.map(({ name }) => name).filter((name) => name !== "query")).toEqual(["save"]);
    await page.locator("#row-8 .id").click();
    await expect.poll(() => host.asked.map(({ name }) => name)).toContain("openFeature");
  });

  it.each([1100, 420])("shows its menus whole in a window of %i pixels", async (width) => {
    const host = hostOf();
    await using opened = await harness.open(FeaturesPage, host.handlers, { width });
    const { page } = opened;
    await page.locator(".id").first().waitFor();
    for (const menu of ["Columns", "Export"]) {
      await page.getByText(menu).click();
      const list = page.locator("details.menu[open] .list");
      // The browser tells that a menu is open after it has opened it.
      const isWhole = async () => {
        const box = await list.boundingBox();
        return box !== null && box.x >= 0 && box.x + box.width <= width;
      };
      await expect.poll(isWhole).toBe(true);
      await page.keyboard.press("Escape");
    }
  });

  it("comes back as it was left", async () => {
    const host = hostOf();
    const state = { query: { sort: "density", search: "negation" }, columns: ["id", "density"], scroll: 2800 };
    await using opened = await harness.open(FeaturesPage, host.handlers, { state, theme: "light" });
    await opened.page.locator("#row-100 .id").waitFor();
    expect(host.lastQuery()).toMatchObject({ sort: "density", search: "negation" });
    expect(await opened.page.getByRole("columnheader").count()).toBe(2);
  });

  it.each(["light", "highContrast"] as const)("is drawn in the theme %s", async (theme) => {
    await using opened = await harness.open(FeaturesPage, hostOf(fakeRows(300)).handlers, { theme });
    await opened.page.locator(".id").first().waitFor();
    await opened.picture(`features-${theme}`);
  });
});

/** Tells the CPU time of the page's main thread, in ms: the clock would count what else the machine is busy with. */
async function workMeter(page: Page): Promise<() => Promise<number>> {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  return async () => {
    const { metrics } = await session.send("Performance.getMetrics");
    const taskS = metrics.find(({ name }) => name === "TaskDuration")?.value;
    if (taskS === undefined) throw new Error("the browser measures no TaskDuration");
    return taskS * 1000;
  };
}

/** In the page: milliseconds from the arrival of rows to the frame in which they are drawn. */
async function firstRowsMs(): Promise<number> {
  const arrived = await new Promise<number>((resolve) => {
    // The page's own listener came first: when this one is called, the rows are there. The event knows when it arrived.
    window.addEventListener("message", ({ data, timeStamp }) => {
      if (data.kind === "answer" && "rows" in data.result) resolve(timeStamp);
    });
  });
  const table = document.querySelector("lfp-features")?.shadowRoot?.querySelector("lfp-feature-table")?.shadowRoot;
  while (table?.querySelector(".body .row .id") == null) await new Promise((resolve) => requestAnimationFrame(resolve));
  await new Promise((resolve) => requestAnimationFrame(resolve));
  return performance.now() - arrived;
}
