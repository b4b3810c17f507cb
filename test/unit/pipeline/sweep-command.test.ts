import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { readRecord } from "../../../server/runs/run-folder.ts";
import { type Ran, runLfp, spawnLfp } from "../../support/run-lfp.ts";
import { useStateFolder } from "../../support/state-folder.ts";
import { tinyExperiment } from "./tiny-experiment.ts";

const stateFolder = useStateFolder("sweep");
let folder: string;
beforeAll(() => {
  folder = stateFolder();
});

const lfp = (...args: readonly string[]): Promise<Ran> => spawnLfp(folder, args);

async function sweepFile(name: string, content: object): Promise<string> {
  const path = join(folder, `${name}.lfp-sweep.json`);
  await writeFile(path, JSON.stringify(content));
  return path;
}

describe("lfp sweep", { timeout: 900_000 }, () => {
  it("runs all settings, computes what they share once, loses none for one that fails, and sets them side by side", async () => {
    const list = [{ "probe.alpha": 1 }, { model: "./nowhere" }, { "probe.alpha": 10 }];
    const path = await sweepFile("tiny", { base: tinyExperiment, list });
    const first = await lfp("sweep", path);
    expect(first.code, first.stderr).toBe(6);
    expect(first.stdout).toContain("2 of 3 runs are done");
    expect(first.stdout).toMatch(/model-nowhere: interrupted.*nowhere/);
    expect(first.stdout).toMatch(/probe\.alpha +1 +10/);
    expect(await readFile(join(folder, "runs", "tiny", "comparison.csv"), "utf8")).toContain("alpha-10");
    const stages = (await readRecord(join(folder, "runs", "tiny", "alpha-10")))?.stages ?? [];
    const statusOf = (id: string) => stages.find((stage) => stage.id === id)?.status;
    expect([statusOf("tune"), statusOf("autoencoders"), statusOf("probe")]).toEqual(["reused", "reused", "done"]);

    // The file is mended, and the runs that are done are left alone.
    await sweepFile("tiny", { base: tinyExperiment, list: [list[0], list[2]] });
    const before = await stat(join(folder, "runs", "tiny", "alpha-10", "run.json"));
    const second = await lfp("sweep", path, "--json");
    expect(second.code, second.stderr).toBe(0);
    expect(JSON.parse(second.stdout)).toMatchObject({
      folder: join(folder, "runs", "tiny"),
      runs: [
        { name: "alpha-1", settings: { "probe.alpha": 1 }, state: { kind: "done" } },
        { name: "alpha-10", settings: { "probe.alpha": 10 }, state: { kind: "done" } },
      ],
      comparison: { runs: [{}, {}] },
    });
    expect((await stat(join(folder, "runs", "tiny", "alpha-10", "run.json"))).mtimeMs).toBe(before.mtimeMs);
    expect((await lfp("sweep", join("runs", "tiny"), "--resume")).code).toBe(0);
    expect((await lfp("cancel", join("runs", "tiny"))).stdout).toContain("nothing works on its runs");
  });

  it("says before it starts anything what would run and what is shared", async () => {
    const grid = { "probe.alpha": [1, 10] };
    const path = await sweepFile("dry", { base: tinyExperiment, seeds: 2, grid });
    const out = join(folder, "dry");
    const result = await runLfp(["sweep", path, "--dry-run", "--out", out]);
    expect(result.code, result.stderr).toBe(0);
    expect(result.stdout).toContain("4 runs; 76 stages, of which 52 have to be computed; shared are prepare, tune, ");
    expect(result.stdout).toContain("seed2-alpha-10: seed = 2, probe.alpha = 10");
    expect(await readdir(folder)).not.toContain("dry");
  });

  it("asks for a sweep file where there is none", async () => {
    const { code, stderr } = await runLfp(["sweep", join(folder, "none.json")]);
    expect(stderr).toContain("Give the path of a sweep file");
    expect(code).toBe(4);
  });

  it.each([
    [["--resume"], 4, "holds no sweep"],
    [["--at-most", "0"], 2, '--at-most is "0"; expected a whole number from 1 to 1000'],
  ])("%j is refused with its reason", async (args, code, message) => {
    const path = await sweepFile("refused", { base: tinyExperiment, seeds: 2 });
    const result = await runLfp(["sweep", path, "--out", join(folder, "refused"), ...args]);
    expect(result.stderr).toContain(message);
    expect(result.code).toBe(code);
  });
});
