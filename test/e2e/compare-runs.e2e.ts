/** A person lays two runs side by side, colours a text by their difference, and goes back to what was before. */
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { tinyExperiment } from "../unit/pipeline/tiny-experiment.ts";
import { Session } from "./support/session.ts";
import type { ColouredWord, Workbench } from "./support/workbench.ts";

const cli = fileURLToPath(new URL("../../server/cli.ts", import.meta.url));
const review = `I loved the first half: a great cast, a precious script, and music that is a delight.
Then it turns weak, the jokes are awful, and the ending is dreadful.
`;

/** Makes runs of two seeds as the command does, with a queue of their own. */
async function makeRuns(folder: string): Promise<void> {
  const file = join(folder, "tiny.json");
  const steps = { ...tinyExperiment.tuning, steps: 6, learningRate: 0.002 };
  await writeFile(file, JSON.stringify({ ...tinyExperiment, tuning: steps }));
  const env = { ...process.env, LFP_STATE_DIR: join(folder, "state") };
  const args = [cli, "run", file, "--seeds", "1,2", "--out", join(folder, "runs", "tiny")];
  await promisify(execFile)(process.execPath, args, { env });
}

describe.skipIf(!inject("ground").ready)("two runs", () => {
  let made: string;
  let session: Session;
  let workbench: Workbench;
  const runRow = (name: string) => workbench.pane("Runs").locator(`.monaco-list-row[aria-label*="${name}"]`).first();
  /** Clicks on both runs; the first opens as it is clicked on, and a click meanwhile may fall on another row. */
  const selectsBoth = async (): Promise<boolean> => {
    await runRow("tiny-seed1").click();
    await runRow("tiny-seed2").click({ modifiers: ["ControlOrMeta"] });
    const rows = workbench.pane("Runs").locator(".monaco-list-row.selected");
    const labels = await rows.evaluateAll((found) => found.map((row) => row.getAttribute("aria-label") ?? ""));
    return (
      labels.length === 2 && ["tiny-seed1", "tiny-seed2"].every((run) => labels.some((label) => label.includes(run)))
    );
  };
  const isRead = (words: readonly ColouredWord[]): boolean => words.some(({ word }) => word === "great");
  const page = () => workbench.webview("Compare: tiny-seed1, tiny-seed2");

  beforeAll(async () => {
    made = await mkdtemp(join(tmpdir(), "lfp-e2e-compare-"));
    await makeRuns(made);
    session = await Session.start({ files: { "review.md": review } });
    await mkdir(join(session.folder, "runs"));
    for (const name of ["tiny-seed1", "tiny-seed2"])
      await cp(join(made, "runs", name), join(session.folder, "runs", name), { recursive: true });
    workbench = await session.open();
  }, 600_000);
  afterAll(async () => {
    await session.stop();
    await rm(made, { recursive: true, force: true });
  });
  beforeEach(({ onTestFailed, task }) => onTestFailed(() => workbench.screenshot(`failed ${task.name}`)));

  it("are selected in the view and compared from its menu", async () => {
    await workbench.openFile("review.md");
    await workbench.openSideBar();
    await expect.poll(selectsBoth, { timeout: 60_000 }).toBe(true);
    await workbench.chooseFromMenu(runRow("tiny-seed2"), "Compare Runs");
    const compared = await page();
    await compared.getByRole("heading", { name: "Compare 2 runs" }).waitFor();
    const seeds = compared.getByRole("table", { name: "Settings that differ" }).getByRole("row", { name: /^seed/ });
    expect(await seeds.locator("td").allTextContents()).toEqual(["1", "2"]);
    await compared.getByRole("table", { name: "Findings" }).getByText("reward gained by tuning").waitFor();
    await compared.getByText("Mean over 2 seeds").waitFor();
    await workbench.screenshot("compare-runs");
    await compared.locator("lfp-chart .plot").first().focus();
    await workbench.page.keyboard.press("Home");
    await compared.locator("lfp-chart .key", { hasText: "step 1" }).first().waitFor();
    await workbench.screenshot("compare-runs-curves");
  });

  it("stay compared through a reload, in light, high contrast and a small window", async () => {
    await Promise.all([workbench.page.waitForEvent("load"), workbench.run("Developer: Reload Window")]);
    await workbench.ready();
    await (await page()).getByRole("heading", { name: "Compare 2 runs" }).waitFor();
    const themes = [
      ["Light Modern", "vs", "light"],
      ["Dark High Contrast", "hc-black", "high-contrast"],
    ] as const;
    for (const [theme, kind, name] of themes) {
      await workbench.chooseTheme(theme, kind);
      await (await page()).getByText("Mean over 2 seeds").waitFor();
      await workbench.screenshot(`compare-runs-${name}`);
    }
    await workbench.chooseTheme("Dark Modern", "vs-dark");
    await workbench.page.setViewportSize({ width: 800, height: 600 });
    await workbench.screenshot("compare-runs-small");
    await workbench.page.setViewportSize({ width: 1280, height: 800 });
  });

  it("colour a text by one's learned reward minus the other's, which hover and legend explain", async () => {
    await (await page()).locator("vscode-button", { hasText: "Colour" }).click();
    await workbench.openFile("review.md");
    await workbench.statusSays(/tiny-seed1 minus tiny-seed2 · mean [+−]?\d\.\d\d nats/);
    await workbench.coloured((words) => words.length > 0);
    await workbench.statusExplains("learned reward of tiny-seed1 minus that of tiny-seed2");
    await workbench.screenshot("compare-runs-legend");
    await workbench.page.keyboard.press("Escape");
    await workbench.hoverOver("great", /minus tiny-seed2: .*nats/);
    await workbench.screenshot("compare-runs-overlay");
    await workbench.page.keyboard.press("Escape");
  });

  it("are left for what was looked through before, which had no colours", async () => {
    await workbench.run("LFP Lens: Stop Colouring by the Difference of Two Runs");
    await workbench.coloured((words) => words.length === 0);
    await workbench.statusSays(/^\s*LFP Lens\s*$/);
    await workbench.run("LFP Lens: Show Learned Reward");
    await workbench.coloured(isRead);
    const text = await workbench.statusSays(/mean/);
    expect(text).not.toContain("minus tiny");
    await workbench.statusExplains("tiny-seed");
    expect(await readFile(join(session.folder, "review.md"), "utf8")).toBe(review);
  });
});
