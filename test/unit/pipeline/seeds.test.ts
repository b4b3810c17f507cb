import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { seedsOf } from "../../../server/cli/run-seeds.ts";
import { reportSchema } from "../../../server/pipeline/report/document.ts";
import { readRecord, runPaths } from "../../../server/runs/run-folder.ts";
import { Lock } from "../../../server/runs/run-lock.ts";
import { jsonOf, runLfp } from "../../support/run-lfp.ts";
import { useStateFolder } from "../../support/state-folder.ts";
import { tinyExperiment } from "./tiny-experiment.ts";

const stateFolder = useStateFolder("seeds");
let folder: string;
beforeAll(async () => {
  folder = stateFolder();
});

const lfp = (args: readonly string[], signal = new AbortController().signal) =>
  runLfp(args, { signal, env: process.env });
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

describe("lfp run --seeds", { timeout: 240_000 }, () => {
  it("runs every seed, loses none for another that fails, and goes on where it was stopped", async () => {
    const path = join(folder, "tiny.json");
    await writeFile(path, JSON.stringify(tinyExperiment));
    const out = join(folder, "tiny");
    const args = ["run", path, "--out", out, "--seeds", "1,7", "--json"];
    const asked = new AbortController();
    const stopping = lfp(args, asked.signal);
    asked.abort();
    expect([75, 130]).toContain((await stopping).code);

    await mkdir(`${out}-seed7`);
    const lock = await Lock.acquire(runPaths(`${out}-seed7`).lock, "run tiny-seed7", "a test");
    const first = await lfp(args);
    await lock.release();
    expect(first.code, first.stderr).toBe(7);
    const lost = answer.parse(jsonOf(first));
    expect(lost.seeds).toMatchObject([
      { seed: 1, folder: `${out}-seed1`, state: { kind: "done" } },
      { seed: 7, state: { kind: "failed", code: "locked" } },
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
