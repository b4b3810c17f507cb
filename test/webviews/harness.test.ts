import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CurvesPage } from "../../server/protocol/run-pages.ts";
import { chromiumPath, PageHarness } from "./harness.ts";

const host = {
  open: async () => ({ name: "demo", state: { kind: "new" as const } }),
  series: async ({ offset }: { offset: number }) => ({ offset, lines: [] }),
  openLog: async () => ({}),
  save: async () => ({ saved: false }),
};

describe.skipIf(chromiumPath === undefined)("the policy of pages", () => {
  let harness: PageHarness;
  beforeAll(async () => {
    harness = await PageHarness.start();
  });
  afterAll(async () => await harness.stop());

  it.each<[what: string, attack: () => void, directive: string]>([
    [
      "a script in the page",
      () =>
        void document.body.append(Object.assign(document.createElement("script"), { text: "document.title = 'hit'" })),
      "script-src",
    ],
    [
      "a handler in markup",
      () => void document.body.insertAdjacentHTML("beforeend", "<img src=x onerror=\"document.title='hit'\">"),
      "script-src",
    ],
    [
      "a style in markup",
      () => void document.body.insertAdjacentHTML("beforeend", "<p style='color:red'>"),
      "style-src",
    ],
    ["a connection", () => void fetch("/files/page.css").catch(() => undefined), "connect-src"],
    ["a picture from elsewhere", () => void Object.assign(new Image(), { src: "http://127.0.0.1:9/x.png" }), "img-src"],
    ["code from text", () => void setTimeout(() => new Function("document.title = 'hit'")()), "script-src"],
    ["a form", () => void submit(), "form-action"],
  ])("%s is stopped, and the harness sees it", async (_, attack, directive) => {
    const opened = await harness.open(CurvesPage, host);
    await opened.page.getByText("No curves yet").waitFor();
    await opened.page.evaluate(`globalThis.submit = ${submit.toString()}`);
    await opened.page.evaluate(attack);
    await expect.poll(() => opened.problems.join("\n")).toContain(`policy: ${directive}`);
    expect(await opened.page.title()).not.toBe("hit");
    await expect(opened[Symbol.asyncDispose]()).rejects.toThrow(directive);
  });

  it("a page that nobody touched says which panel it is, so that it comes back after a reload", async () => {
    await using opened = await harness.open(CurvesPage, host);
    await opened.page.getByText("No curves yet").waitFor();
    expect(opened.states).toMatchObject([{ panel: expect.stringMatching(/^[0-9a-f-]{36}$/) }]);
  });

  it("a message that is none of the page's questions is dropped and counted", async () => {
    const opened = await harness.open(CurvesPage, host);
    await opened.page.evaluate("lfpToHost({ ask: 'openFile', id: 1, params: { path: '/etc/passwd' } })");
    expect(opened.refused).toEqual(['no question of this page: "openFile"']);
    await expect(opened[Symbol.asyncDispose]()).rejects.toThrow("openFile");
  });
});

function submit(): void {
  const form = document.createElement("form");
  form.action = "http://127.0.0.1:9/";
  document.body.append(form);
  form.submit();
}
