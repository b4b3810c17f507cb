import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { seedsOf } from "../../../server/cli/run-seeds.ts";
import { reportSchema } from "../../../server/pipeline/report/document.ts";
import { readRecord, runPaths } from "../../../server/runs/run-folder.ts";
import { runStatus } from "../../../server/runs/run-status.ts";
import { jsonOf, runLfp, spawnLfp } from "../../support/run-lfp.ts";
import { useStateFolder } from "../../support/state-folder.ts";
import { lastingFiles } from "../runs/lasting-files.ts";
import { PATIENT } from "../runs/scratch.ts";
import { smallestExperiment } from "./tiny-experiment.ts";

const stateFolder = useStateFolder("seeds");
let folder: string;
beforeAll(async () => {
  folder = stateFolder();
});

const lfp = (args: readonly string[], signal = new AbortController().signal) => spawnLfp(folder, args, { signal });
const textOf = (...path: readonly string[]) => readFile(join(folder, ...path), "utf8");
const answer = z.object({
  folder: z.string(),
  seeds: z.array(z.object({ seed: z.int(), folder: z.string(), state: z.looseObject({ kind: z.string() }) })),
  report: reportSchema,
});

async function gainOf(run: string): Promise<number> {
  const record = await readRecord(join(folder, run));
  const output = record?.stages.find(({ id }) => id === "evaluate")?.output ?? expect.fail("no evaluation");
  const schema = z.object({ difference: z.object({ mean: z.number() }) });
  return schema.parse(JSON.parse(await textOf(run, output, "evaluation.json"))).difference.mean;
}

describe("lfp run --seeds", { timeout: 600_000 }, () => {
  it("runs every seed, loses none for another that fails, and goes on where it was stopped", async () => {
    const path = join(folder, "tiny.json");
    await writeFile(path, JSON.stringify(smallestExperiment));
    const out = join(folder, "tiny");
    const args = ["run", path, "--out", out, "--seeds", "1,7", "--json"];
    const asked = new AbortController();
    const stopping = lfp(args, asked.signal);
    const stateOf = async () => (await runStatus(`${out}-seed1`)).state.kind;
    await expect.poll(stateOf, PATIENT).toBe("running");
    asked.abort();
    expect((await stopping).code).toBe(75);
    expect((await runStatus(`${out}-seed1`)).work).toBe("gone");

    const again = lfp(args);
    await expect.poll(stateOf, PATIENT).toBe("running");
    const cancelled = await lfp(["cancel", `${out}-seeds`]);
    expect(cancelled.code, cancelled.stderr).toBe(0);
    expect((await again).code).toBe(75);
    expect((await runStatus(`${out}-seed1`)).work).toBe("gone");

    await mkdir(`${out}-seed7`, { recursive: true });
    await writeFile(runPaths(`${out}-seed7`).record, "{}");
    const first = await lfp(args);
    await rm(runPaths(`${out}-seed7`).record);
    expect(first.code, first.stderr).toBe(3);
    const lost = answer.parse(jsonOf(first));
    expect(lost.seeds).toMatchObject([
      { seed: 1, folder: `${out}-seed1`, state: { kind: "done" } },
      { seed: 7, state: { kind: "failed", code: "input" } },
    ]);
    expect(lost.report.summary.join(" ")).toContain("none of these figures: 7");

    const second = await lfp(args);
    expect(second.code, second.stderr).toBe(0);
    expect((await readRecord(`${out}-seed1`))?.stages.map(({ status }) => status)).not.toContain("done");
    const { report } = answer.parse(jsonOf(second));
    expect(report).toMatchObject({ run: "tiny-seeds", seed: 1, seeds: [1, 7] });
    const [a, b] = [await gainOf("tiny-seed1"), await gainOf("tiny-seed7")];
    const rows = report.sections.flatMap(({ tables }) => tables).find(({ id }) => id === "over-seeds")?.rows ?? [];
    const [name, seeds, mean, sd, low, high] = rows[0] ?? [];
    expect([name, seeds]).toEqual(["reward gained by tuning", 2]);
    expect(mean).toBeCloseTo((a + b) / 2, 12);
    expect(sd).toBeCloseTo(Math.abs(a - b) / Math.SQRT2, 12);
    expect([low, high]).toEqual([Math.min(a, b), Math.max(a, b)]);
    const key = (await readRecord(`${out}-seeds`))?.stages[0]?.key ?? "";
    expect(report.sections[0]?.tables[0]?.source.key).toBe(key.slice(0, 16));

    const alone = join(folder, "alone", "tiny-seed7");
    expect((await runLfp(["run", path, "--out", alone, "--seed", "7"], { env: process.env })).code).toBe(0);
    expect(await lastingFiles(`${out}-seed7`)).toEqual(await lastingFiles(alone));

    const before = await textOf("tiny-seeds", "report.md");
    const third = await lfp(args);
    expect(third.code).toBe(0);
    expect((await readRecord(`${out}-seeds`))?.stages).toMatchObject([{ status: "reused" }]);
    expect(await textOf("tiny-seeds", "report.md")).toBe(before);
    expect((await lfp(["report", `${out}-seeds`])).stdout).toContain("# Run tiny-seeds\n\nSeeds 1, 7.");
    expect((await lfp(["status", `${out}-seeds`])).stdout).toMatch(/done\n {2}seeds/);
  });

  it.each([
    [["--seeds", "0"], '--seeds is "0"; expected a number of runs'],
    [["--seeds", "1,2,1"], "a seed stands there twice"],
    [["--seeds", "1,x"], '--seeds is "x"; expected a whole number'],
    [["--seeds", ","], "expected 1 to 100 seeds"],
    [["--seeds", "3", "--seed", "2"], "--seed and --seeds exclude each other"],
    [["--seeds", "3", "--detach"], "--detach starts one run"],
    [["--seeds", "3", "--at-most", "0"], '--at-most is "0"; expected a whole number'],
    [["--at-most", "2"], "--at-most is for several runs"],
  ])("%j is refused with its reason", async (args, message) => {
    const result = await lfp(["run", "quick", ...args]);
    expect(result.stderr).toContain(message);
    expect(result.code).toBe(2);
  });

  it("throws what is wrong with an experiment once, and makes no report", async () => {
    const result = await lfp(["run", join(folder, "nowhere.json"), "--seeds", "2"]);
    expect(result.code).toBe(4);
    expect(result.stderr).toContain("nowhere.json cannot be read");
  });

  it("takes a number of seeds or a list", () => {
    expect(seedsOf("3")).toEqual([1, 2, 3]);
    expect(seedsOf("9, 0,4")).toEqual([9, 0, 4]);
  });
});
