import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AblationPage, type AblationView } from "../../server/protocol/ablation-page.ts";
import { acting, ablationHost as hostOf } from "./fake-ablation.ts";
import { chromiumPath, type OpenPage, PageHarness } from "./harness.ts";
import { themes } from "./themes.ts";

/** As wide as a side bar. */
const size = { width: 300, height: 600 };

describe.skipIf(chromiumPath === undefined)("the view of the ablation set", () => {
  let harness: PageHarness;
  beforeAll(async () => {
    harness = await PageHarness.start();
  });
  afterAll(async () => await harness.stop());

  const changed = async (opened: OpenPage): Promise<void> =>
    await opened.send({ kind: "tell", name: "changed", data: {} });

  it.each(Object.keys(themes) as (keyof typeof themes)[])("fits a narrow side bar in the theme %s", async (theme) => {
    await using opened = await harness.open(AblationPage, hostOf().handlers, { theme, ...size });
    const { page } = opened;
    await page.getByText("Acts on colours, hovers and completions through quick.").waitFor();
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(size.width);
    await opened.picture(`ablation-${theme}`);
  });

  it("says factors in words, and changes one by keyboard, once it rests", async () => {
    const host = hostOf();
    await using opened = await harness.open(AblationPage, host.handlers, size);
    const { page } = opened;
    const slider = page.getByRole("slider", { name: "Factor of L4/F43" });
    expect(await slider.getAttribute("aria-valuetext")).toBe("ablated");
    await slider.focus();
    for (const _ of [1, 2, 3]) await page.keyboard.press("ArrowRight");
    await page.getByText("× 0.15").waitFor();
    expect(await slider.getAttribute("aria-valuetext")).toBe("× 0.15");
    await expect.poll(() => host.asked).toEqual([{ name: "scale", id: "L4/F43", factor: 0.15 }]);
    await page.keyboard.press("Home");
    await expect.poll(() => host.asked.length).toBe(2);
    await page.getByText("ablated", { exact: true }).waitFor();
    // The number takes what the slider does not reach.
    const number = page.getByRole("spinbutton", { name: "Factor of L5/F106@big as a number" });
    await number.fill("-4");
    await page.keyboard.press("Enter");
    await expect.poll(() => host.asked.at(-1)).toEqual({ name: "scale", id: "L5/F106@big", factor: -4 });
  });

  it("keeps a factor that is being moved when the file changes meanwhile", async () => {
    const host = hostOf();
    await using opened = await harness.open(AblationPage, host.handlers, size);
    const slider = opened.page.getByRole("slider", { name: "Factor of L4/F43" });
    await slider.focus();
    await opened.page.keyboard.press("End");
    await changed(opened);
    expect(await slider.inputValue()).toBe("2");
    await expect.poll(() => host.asked).toEqual([{ name: "scale", id: "L4/F43", factor: 2 }]);
    host.set({ ...acting, features: acting.features.map((feature) => ({ ...feature, factor: 1 })) });
    await changed(opened);
    await expect.poll(() => slider.inputValue()).toBe("1");
  });

  it("switches features and the set, restores, removes, and measures beside controls", async () => {
    const host = hostOf();
    await using opened = await harness.open(AblationPage, host.handlers, size);
    const { page } = opened;
    const off = page.getByRole("slider", { name: "Factor of base:L2/F7" });
    expect(await off.isDisabled()).toBe(true);
    await page.getByRole("checkbox", { name: "Apply base:L2/F7" }).click();
    await changed(opened);
    await expect.poll(() => off.isDisabled()).toBe(false);
    await page.getByRole("switch", { name: "Apply the set" }).click();
    await changed(opened);
    await page.getByText("Switched off.").waitFor();
    await page.getByRole("button", { name: "Restore All" }).click();
    await changed(opened);
    await expect.poll(() => page.getByText("as it is").count()).toBe(3);
    await page.getByRole("button", { name: "Remove L4/F43 from the set" }).click();
    await changed(opened);
    await expect.poll(() => page.getByRole("slider").count()).toBe(2);
    await page.getByRole("button", { name: "Measure the Set" }).click();
    await changed(opened);
    await page.getByText(/^With the set the mean reward changes by −0\.19/).waitFor();
    await page.getByRole("img", { name: /^this set: −0\.19.* random sets: \+0\.01/ }).waitFor();
    await page.getByRole("button", { name: "L5/F106@big", exact: true }).click();
    expect(host.asked).toEqual([{ name: "openFeature", id: "L5/F106@big" }]);
    await opened.picture("ablation-measured");
  });

  it.each([
    [{ status: "none", file: null, run: null, features: [] }, /^No ablation set is active/, "Choose a Set…", "choose"],
    [
      { status: "otherRun", looked: "lauf-2" },
      /belongs to quick, and the lens looks through lauf-2/,
      "Look Through quick",
      "openRun",
    ],
    [{ status: "unbound", run: null }, /does not say which run/, "Apply to quick", "bind"],
    [{ status: "broken", problem: "a.json: it is no JSON", features: [] }, /it is no JSON/, "Open File", "openFile"],
  ] satisfies [Partial<AblationView>, RegExp, string, string][])(
    "says why a set does not act, and offers what helps (%#)",
    async (state, says, button, asks) => {
      const host = hostOf({ ...acting, ...state });
      await using opened = await harness.open(AblationPage, host.handlers, size);
      await opened.page.getByText(says).first().waitFor();
      await opened.page.getByRole("button", { name: button }).click();
      await expect.poll(() => host.asked).toEqual([{ name: asks }]);
      await opened.picture(`ablation-${state.status}`);
    },
  );

  it("offers no run that is not at hand", async () => {
    const state: Partial<AblationView> = { status: "otherRun", run: { name: "gone", isAtHand: false } };
    await using opened = await harness.open(AblationPage, hostOf({ ...acting, ...state }).handlers, size);
    await opened.page.getByText("No run of this workspace has those dictionaries.").waitFor();
    expect(await opened.page.getByRole("button", { name: /Look Through|Measure/ }).count()).toBe(0);
  });
});
