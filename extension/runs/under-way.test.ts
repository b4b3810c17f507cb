import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isRunUnderWay } from "./under-way.ts";

describe("a folder of runs", () => {
  let root: string;
  const put = async (name: string, record: string): Promise<string> => {
    const runs = join(root, name);
    await mkdir(join(runs, "a-run"), { recursive: true });
    await writeFile(join(runs, "a-run", "run.json"), record);
    return runs;
  };

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "lfp-under-way-"));
  });
  afterAll(() => rm(root, { recursive: true }));

  it.each([
    ["running", { kind: "running", stage: "tune" }, true],
    ["waiting", { kind: "waiting", for: "another run" }, true],
    ["done", { kind: "done" }, false],
    ["cancelled", { kind: "cancelled", stage: "tune" }, false],
  ])("has a run under way or not: %s", async (name, state, expected) => {
    expect(await isRunUnderWay([await put(name, JSON.stringify({ format: 1, state }))])).toBe(expected);
  });

  it("has none under way when it is missing, or its files are damaged or no records", async () => {
    const damaged = await put("damaged", '{"state":{"kind":"runn');
    const other = await put("other", "[1]");
    await writeFile(join(root, "other", "file"), "");
    expect(await isRunUnderWay([join(root, "missing"), damaged, other])).toBe(false);
  });

  it("has one under way whose job of a cluster has no end yet, also where the run has begun before", async () => {
    const runs = await put("queued", '{"state":{"kind":"cancelled"}}');
    expect(await isRunUnderWay([runs])).toBe(false);
    await writeFile(join(runs, "a-run", "job.json"), '{"executor":"slurm","name":"lfp-a-run-01"}');
    expect(await isRunUnderWay([runs])).toBe(true);
    await mkdir(join(runs, "a-run", "jobs"));
    await writeFile(join(runs, "a-run", "jobs", "lfp-a-run-01.gone"), "{}");
    expect(await isRunUnderWay([runs])).toBe(false);
  });

  it("has one under way in a sweep there", async () => {
    await put("with-sweep/seeds", '{"state":{"kind":"running","stage":"tune"}}');
    expect(await isRunUnderWay([join(root, "with-sweep")])).toBe(false);
    await writeFile(join(root, "with-sweep", "seeds", "sweep.json"), "{}");
    expect(await isRunUnderWay([join(root, "with-sweep")])).toBe(true);
  });

  it("has one under way when any of several has", async () => {
    const idle = await put("idle", '{"state":{"kind":"done"}}');
    const busy = await put("busy", '{"state":{"kind":"running","stage":"prepare"}}');
    expect(await isRunUnderWay([idle, busy])).toBe(true);
  });
});
