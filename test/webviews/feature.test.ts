import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FeaturePage } from "../../server/protocol/feature-pages.ts";
import type { FeatureDetail } from "../../server/protocol/features.ts";
import { featureHost as hostOf, usual } from "./fake-feature.ts";
import { chromiumPath, PageHarness } from "./harness.ts";

describe.skipIf(chromiumPath === undefined)("the page of a feature", () => {
  let harness: PageHarness;
  beforeAll(async () => {
    harness = await PageHarness.start();
  });
  afterAll(async () => await harness.stop());

  it("shows examples shaded by activation, effects, twins and what is known, all as text", async () => {
    const host = hostOf();
    await using opened = await harness.open(FeaturePage, host.handlers);
    const { page } = opened;
    const strong = page.locator(".t.s3");
    await strong.first().waitFor();
    expect(await strong.allTextContents()).toEqual([
      "wonderful",
      "superb",
      "brilliant,",
      "brilliant",
      "great",
      "great",
    ]);
    expect(await strong.first().getAttribute("title")).toBe("wonderful: 4.8");
    expect(await page.getByText("<b>so</b>").count()).toBe(1);
    expect(await page.locator("rect.fill").count()).toBe(12);
    expect(
      await page
        .getByRole("img", { name: "this feature: −0.19, 95 % interval −0.23 to −0.15. random sets: +0.01" })
        .count(),
    ).toBe(1);
    await page.getByText("Active on 12,408 of 590,857 tokens.").waitFor();
    await page.getByRole("button", { name: "base:L4/F43" }).click();
    expect(host.asked).toEqual([{ name: "openFeature", id: "base:L4/F43" }]);
    await opened.picture("feature-dark");
  });

  it("frames the word on which a silent example is silent, though the feature is active beside it", async () => {
    const silent = {
      tokens: ["a", " wonderful", " life", " on", " television"],
      activations: [0, 4.8, 0, 0, 0],
      peak: 2,
      source: "analysis text 7",
    };
    const detail = { ...usual, examples: [{ group: "silent" as const, examples: [silent] }] };
    await using opened = await harness.open(FeaturePage, hostOf(detail).handlers);
    const marked = opened.page.locator(".t.silent");
    await marked.waitFor();
    expect(await marked.allTextContents()).toEqual(["life"]);
    expect(await marked.getAttribute("title")).toBe("life: not active");
    const outlines = await opened.page
      .locator(".example .t")
      .evaluateAll((tokens) => tokens.map((token) => getComputedStyle(token).outlineStyle));
    expect(outlines).toEqual(["none", "dotted"]);
    await opened.page.getByRole("heading", { name: /similar words on which it is silent \(framed\)/ }).waitFor();
  });

  it("goes to the next feature of the list, from its top, and is a preview until it is kept", async () => {
    const host = hostOf();
    await using opened = await harness.open(FeaturePage, host.handlers, { state: { text: "mine" }, height: 300 });
    const { page } = opened;
    await page.getByText("4 of 640").waitFor();
    await page.getByText("Read Text").click();
    await page.getByText(/^strongest \d/).waitFor();
    await page.evaluate(() => window.scrollTo(0, 200));
    await page.getByRole("button", { name: "Next ›" }).click();
    await opened.send({ kind: "tell", name: "moved", data: {} });
    await page.getByRole("heading", { name: /^L2\/F7/ }).waitFor();
    await page.getByText("5 of 640").waitFor();
    expect(await page.evaluate(() => window.scrollY)).toBe(0);
    expect(await page.getByText(/^strongest \d/).count()).toBe(0);
    expect(await page.getByRole("button", { name: "Next ›" }).isDisabled()).toBe(true);
    await page.getByRole("button", { name: "Keep Open" }).click();
    await opened.send({ kind: "tell", name: "changed", data: {} });
    await expect.poll(async () => await page.getByRole("button", { name: "Keep Open" }).count()).toBe(0);
    expect(host.asked).toEqual([{ name: "go", id: "L2/F7" }]);
    expect(opened.states.at(-1)).toMatchObject({ page: { id: "L2/F7", scroll: 0, text: "mine" } });
  });

  it("opens the text that an example was cut from", async () => {
    const host = hostOf();
    await using opened = await harness.open(FeaturePage, host.handlers);
    const link = opened.page.getByRole("button", { name: /^Open the source, / }).first();
    await link.click();
    const [example] = usual.examples[0]?.examples ?? [];
    const text = example?.tokens.join("");
    expect(host.asked).toEqual([{ name: "openSource", source: example?.source, text }]);
  });

  it("ablates, steers and restores, and says which it is", async () => {
    const host = hostOf();
    await using opened = await harness.open(FeaturePage, host.handlers);
    const { page } = opened;
    const changed = async (): Promise<void> => await opened.send({ kind: "tell", name: "changed", data: {} });
    await page.getByText("Ablate", { exact: true }).click();
    await changed();
    await page.getByText("ablated", { exact: true }).waitFor();
    await page.getByText("Compare Completions").click();
    await page.getByText("Restore").click();
    await changed();
    await page.getByText("Steer × 2").click();
    await changed();
    await page.getByText("steered × 2").waitFor();
    await page.getByText("Measure again with controls").click();
    await opened.send({ kind: "tell", name: "progress", data: { done: 3, total: 10, message: "3 of 10 prompts" } });
    await page.getByRole("status").getByText("3 of 10 prompts").waitFor();
    await opened.send({ kind: "tell", name: "progress", data: null });
    await expect.poll(async () => await page.getByText("3 of 10 prompts").count()).toBe(0);
    expect(host.asked).toEqual([
      { name: "compare", factor: 0 },
      { name: "measure", factor: 0 },
    ]);
  });

  it("says activations and logits as text, which a keyboard and a screen reader reach", async () => {
    await using opened = await harness.open(FeaturePage, hostOf().handlers);
    const { page } = opened;
    await page.locator(".t.s3").first().waitFor();
    const tokens = await page.locator(".tokens li").allTextContents();
    const { promotes, suppresses } = usual;
    expect(tokens).toHaveLength(promotes.length + suppresses.length);
    for (const [at, { logit }] of [...promotes, ...suppresses].entries())
      expect(tokens[at]).toContain(Math.abs(logit).toFixed(2));
    const active = usual.examples.flatMap(({ examples }) => examples.flatMap(({ activations }) => activations));
    expect(await page.locator("sub").count()).toBe(0);
    await page.getByRole("checkbox", { name: "Show activations as numbers" }).focus();
    await page.keyboard.press("Space");
    await page.locator("sub").first().waitFor();
    expect(await page.locator("sub").count()).toBe(active.filter((value) => value > 0).length);
    const strongest = page.locator(".t.s3", { hasText: "wonderful" }).first();
    expect(await strongest.evaluate((token) => token.nextElementSibling?.textContent)).toBe("4.8");
    expect(opened.states.at(-1)).toMatchObject({ page: { numbers: true } });
  });

  it("keeps labels, note and pin, each by itself", async () => {
    const host = hostOf();
    await using opened = await harness.open(FeaturePage, host.handlers);
    const { page } = opened;
    await page.getByRole("textbox", { name: "New label" }).fill("superlatives");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Remove the label superlatives" }).waitFor();
    await page.getByRole("button", { name: "Remove the label praise" }).click();
    await page.getByText("☆ Pin").click();
    await page.getByText("★ Pinned").waitFor();
    await page.getByRole("textbox", { name: "Note" }).fill("looks like praise\nto me");
    await page.keyboard.press("Tab");
    await expect
      .poll(() => host.asked)
      .toEqual([
        { name: "annotate", labels: ["praise", "superlatives"] },
        { name: "annotate", labels: ["superlatives"] },
        { name: "annotate", pinned: true },
        { name: "annotate", note: "looks like praise\nto me" },
      ]);
  });

  it("reads one's own text, which is still there when the page is shown again", async () => {
    await using opened = await harness.open(FeaturePage, hostOf().handlers, {
      state: { text: "so very good", scroll: 0 },
    });
    await opened.page.getByText("Read Text").click();
    await opened.page.locator(".tried .s3").getByText("ery good").waitFor();
    await opened.page.getByText("strongest 4.50 of").waitFor();
  });

  it("is where it was left when it is shown again, with the text of one's own, and keeps where it goes", async () => {
    const state = { text: "so very good", scroll: 150 };
    await using opened = await harness.open(FeaturePage, hostOf().handlers, { state, height: 300 });
    const { page } = opened;
    await expect.poll(() => page.evaluate(() => window.scrollY)).toBe(150);
    await page.evaluate(() => window.scrollTo(0, 90));
    await expect.poll(() => opened.states.at(-1)).toMatchObject({ page: { text: "so very good", scroll: 90 } });
  });

  it("a bare feature says what there is not", async () => {
    const bare: FeatureDetail = {
      ...usual,
      row: { ...usual.row, explanation: null, twin: null, probeWeight: null, contribution: null, histogram: [] },
      explanations: [],
      examples: [],
      promotes: [],
      suppresses: [],
      ablations: [],
      baseTwin: null,
    };
    await using opened = await harness.open(FeaturePage, hostOf(bare).handlers, { theme: "light" });
    for (const text of ["No examples are kept", "not measured", "Explain…"])
      await opened.page.getByText(text).first().waitFor();
  });

  it.each(["light", "highContrast"] as const)("is drawn in the theme %s", async (theme) => {
    const negative = { ...usual, row: { ...usual.row, contribution: -0.5 } };
    await using opened = await harness.open(FeaturePage, hostOf(negative).handlers, { theme });
    await opened.page.locator(".t").first().waitFor();
    await opened.picture(`feature-${theme}`);
  });
});
