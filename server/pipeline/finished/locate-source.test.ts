import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { starterFolder, starterRunFolder } from "../../common/package-root.ts";
import { locateSource } from "./locate-source.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-source-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** A run on these files of texts. */
async function runOn(name: string, data: string, analysis: string | null): Promise<string> {
  const run = join(folder, name);
  await mkdir(run);
  const of = (file: string) => ({ source: { file: join(folder, file) }, limit: null });
  const experiment = {
    ...{ preset: "quick", name, data: of(data) },
    ...(analysis === null ? {} : { analysis: of(analysis) }),
  };
  await writeFile(join(run, "experiment.json"), JSON.stringify(experiment));
  return run;
}

it("a text of the bundled run is a line of the starter's reviews", async () => {
  expect(await locateSource(starterRunFolder(), "reviews.jsonl/469")).toEqual({
    path: join(starterFolder(), "reviews.jsonl"),
    line: 469,
  });
});

it("a row of a CSV file is found behind cells of several lines, and a text of a pair by its row", async () => {
  await writeFile(join(folder, "a.csv"), 'text,id\n"one\ntwo",1\n\n"three",2\nfour,3\n');
  await writeFile(join(folder, "b.jsonl"), '{"text":"x"}\n{"text":"y"}\n');
  const run = await runOn("two", "a.csv", "b.jsonl");
  const [a, b] = [join(folder, "a.csv"), join(folder, "b.jsonl")];
  expect(await locateSource(run, "a.csv/0")).toEqual({ path: a, line: 1 });
  expect(await locateSource(run, "a.csv/1")).toEqual({ path: a, line: 4 });
  expect(await locateSource(run, "a.csv/2")).toEqual({ path: a, line: 5 });
  expect(await locateSource(run, "a.csv/9")).toEqual({ path: a, line: null });
  expect(await locateSource(run, "b.jsonl/1")).toEqual({ path: b, line: 1 });
  expect(await locateSource(run, "analysis-0-b.jsonl/1/chosen")).toEqual({ path: b, line: 1 });
});

it.each(["c.jsonl/1", "a.csv", "a.csv/x", "../a.csv/1", ""])("%j is in none of the run's files", async (source) => {
  await expect(locateSource(join(folder, "two"), source)).rejects.toThrow(/is in no data file of the run's experiment/);
});

it("says which file is missing", async () => {
  const run = await runOn("gone", "gone.jsonl", null);
  await expect(locateSource(run, "gone.jsonl/1")).rejects.toThrow(/there is no file .*gone\.jsonl/);
});
