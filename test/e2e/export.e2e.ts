/** A person exports a finished run from the view of runs, for the hub and for Neuronpedia, into a folder of their own. */
import { cp, mkdir, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { starterRunFolder } from "../../server/common/package-root.ts";
import { Session } from "./support/session.ts";
import type { Workbench } from "./support/workbench.ts";

describe.skipIf(!inject("ground").ready)("a run's export", () => {
  let session: Session;
  let workbench: Workbench;
  /** Empty at first, because a dialog shows the folders within one. */
  const outside = (kind: string): string => join(session.folder, "..", `exported-${kind}`);
  const files = async (...parts: readonly string[]): Promise<string[]> =>
    (await readdir(join(...parts), { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name).slice(join(...parts).length + 1))
      .sort();

  beforeAll(async () => {
    session = await Session.start({ files: { "review.md": "A great film.\n" } });
    await cp(starterRunFolder(), join(session.folder, "runs", "films"), { recursive: true });
    for (const kind of ["hub", "neuronpedia"]) await mkdir(outside(kind));
    workbench = await session.open();
    await workbench.openSideBar();
  });
  afterAll(() => session.stop());
  beforeEach(({ onTestFailed, task }) => onTestFailed(() => workbench.screenshot(`failed ${task.name}`)));

  /** Exports the run from its menu; gives the new folder, and what the person is told. */
  const exported = async (kind: string, title: string): Promise<{ folder: string; told: string }> => {
    const row = workbench.pane("Runs").locator('.monaco-list-row[aria-label*="films"]').first();
    await row.waitFor();
    await workbench.chooseFromMenu(row, "Export Run…");
    await workbench.quickPick.getByText(title, { exact: true }).waitFor();
    await workbench.pick(title);
    await workbench.chooseFolder(outside(kind), "films is exported to a new folder", /^Export Here/);
    const notification = workbench.notifications.filter({ hasText: `films is exported to films-${kind}` });
    await notification.waitFor();
    await workbench.notifications.filter({ hasText: "exporting films" }).waitFor({ state: "hidden" });
    await workbench.screenshot(`export-${kind}`);
    return { folder: join(outside(kind), `films-${kind}`), told: (await notification.textContent()) ?? "" };
  };

  it("for the hub is one new folder with model, dictionaries, report, experiment and card", async () => {
    const { folder, told } = await exported("hub", "Model, dictionaries and report for the Hugging Face hub");
    expect(told).toContain("README.md states no licence");
    const found = await files(folder);
    for (const name of ["README.md", "config.json", "experiment.json", "lfp-export.json", "report.json", "report.md"])
      expect(found).toContain(name);
    expect(found.filter((name) => /^sae\/(tuned|base)\/\d+\/\d+\/cfg\.json$/.test(name)).length).toBeGreaterThan(1);
    const bytes = async (at: string): Promise<number> => (await stat(at)).size;
    expect(await bytes(join(folder, "model.safetensors"))).toBe(
      await bytes(join(starterRunFolder(), "tuned", "model.safetensors")),
    );
    expect(await readFile(join(folder, "README.md"), "utf8")).toMatch(/^---\n/);
  });

  it("for Neuronpedia has every dictionary as a source with its features", async () => {
    const { folder } = await exported("neuronpedia", "Features for Neuronpedia");
    const found = await files(folder);
    const sources = found
      .filter((name) => name.endsWith("/source.jsonl"))
      .map((name) => name.slice(0, -"source.jsonl".length));
    expect(sources.length).toBeGreaterThan(1);
    for (const source of sources)
      for (const part of ["release.jsonl", "model.jsonl", "sourceset.jsonl"])
        expect(found).toContain(`${source}${part}`);
    for (const source of sources) expect(found.some((name) => name.startsWith(`${source}features/`))).toBe(true);
    expect(await readdir(outside("neuronpedia"))).toEqual(["films-neuronpedia"]);
  });
});
