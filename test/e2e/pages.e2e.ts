/** A person opens a folder with a finished run and looks at what came of it: curves, report, features. */
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Locator } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, inject, it } from "vitest";
import { tinyExperiment } from "../unit/pipeline/tiny-experiment.ts";
import { Session } from "./support/session.ts";
import type { Workbench } from "./support/workbench.ts";

const cli = fileURLToPath(new URL("../../server/cli.ts", import.meta.url));

/** Makes the run as the command does; with a queue of its own, so that no other run on this machine is waited for. */
async function makeRun(folder: string): Promise<string> {
  const file = join(folder, "tiny.json");
  await writeFile(file, JSON.stringify(tinyExperiment));
  const env = { ...process.env, LFP_STATE_DIR: join(folder, "state") };
  await promisify(execFile)(process.execPath, [cli, "run", file, "--out", join(folder, "tiny")], { env });
  return join(folder, "tiny");
}

/** Puts a copy of a run in place whole, as it is when a run ends: a run seen half copied is another row of the view. */
async function appear(run: string, target: string): Promise<void> {
  await cp(run, `${run}.copy`, { recursive: true });
  await mkdir(dirname(target), { recursive: true });
  await rename(`${run}.copy`, target);
}

describe.skipIf(!inject("ground").ready)("the pages of a run", () => {
  let made: string;
  let session: Session;
  let workbench: Workbench;
  const row = (view: "Runs" | "Features", text: string | RegExp): Locator =>
    workbench.pane(view).locator(".monaco-list-row", { hasText: text }).first();

  beforeAll(async () => {
    made = await mkdtemp(join(tmpdir(), "lfp-e2e-run-"));
    const run = await makeRun(made);
    session = await Session.start({ files: { "mine.lfp-experiment.json": '{ "preset": "quick", "stepz": 1 }\n' } });
    session.page.setDefaultTimeout(120_000);
    workbench = await session.open();
    await workbench.openFile("mine.lfp-experiment.json");
    await workbench.openSideBar();
    await workbench.pane("Runs").getByText("Run the Quick Demo", { exact: true }).first().waitFor();
    await workbench.screenshot("runs-welcome");
    await appear(run, join(session.folder, "runs", "tiny"));
  }, 480_000);
  afterAll(async () => {
    await session.stop();
    await rm(made, { recursive: true, force: true });
  });
  beforeEach(({ onTestFailed, task }) => onTestFailed(() => workbench.screenshot(`failed ${task.name}`)));

  it("an experiment file is checked as one types", async () => {
    await workbench.page.locator(".squiggly-warning, .squiggly-error").first().waitFor();
  });

  it("a run that appears in the folder appears in the view, with what its stages found", async () => {
    // A finished run's stages are folded away until one opens them.
    await workbench.pane("Runs").locator('.monaco-list-row[aria-label*="tiny"][aria-expanded="false"]').click();
    await row("Runs", /^tune.*reward/).waitFor();
    await workbench.screenshot("runs-finished");
  });

  it("curves and report open as pages", async () => {
    await workbench.run("LFP Lens: Show Curves");
    const curves = await workbench.webview("Curves: tiny");
    await curves.getByRole("heading", { name: "Reward", exact: true }).waitFor();
    await workbench.screenshot("curves");
    await workbench.run("LFP Lens: Open Report");
    const report = await workbench.webview("Report: tiny");
    await report.locator("lfp-figure svg").first().waitFor();
    await workbench.screenshot("report");
  });

  it("the features of the run are listed, and the table shows them", async () => {
    await row("Features", /L\d\/F\d+/).waitFor();
    await workbench.run("LFP Lens: Open Features");
    const page = await workbench.webview("Features: tiny");
    await page.getByRole("grid").locator(".id").first().waitFor();
    await workbench.screenshot("features of a run");
    await page.getByRole("textbox", { name: "Search features" }).fill("the");
    await page
      .getByRole("status")
      .getByText(/^\d+ features?$/)
      .waitFor();
  });
});
