import { expect, test } from "vitest";
import { z } from "zod";
import { cpuMs } from "../../../test/support/cpu-time.ts";
import { checkExperimentText } from "./file-issues.ts";
import { ExperimentError } from "./issues.ts";
import { experimentJsonSchema } from "./json-schema.ts";
import { parseExperiment } from "./resolve.ts";

/** What is told, by the words of the file that it stands at. */
async function told(file: object): Promise<(readonly [where: string, message: string])[]> {
  const text = JSON.stringify(file, undefined, 2);
  return (await checkExperimentText(text)).issues.map(({ start, end, path, message }) => [
    text.slice(start, end),
    `${path}: ${message}`,
  ]);
}

test("a rule between fields stands at the key that it is about", async () => {
  expect(await told({ preset: "quick", tuning: { batchSize: 60, miniBatchSize: 16 } })).toEqual([
    ['"miniBatchSize"', expect.stringContaining("tuning.miniBatchSize: must divide batchSize")],
  ]);
  expect(await told({ preset: "quick", divergence: { layers: [1, 1] } })).toEqual([
    ['"layers"', expect.stringContaining("names a layer twice")],
  ]);
  expect(await told({ preset: "quick", tuned: "./t", ppo: { steps: 3 } })).toEqual([
    ['"steps"', expect.stringContaining("ppo.steps: has no effect")],
  ]);
});

test("where the preset gives the field, it stands at the key that brought it about", async () => {
  expect(await told({ preset: "quick", name: "a", tuning: { batchSize: 60 } })).toEqual([
    ['"batchSize"', expect.stringContaining("tuning.miniBatchSize: must divide")],
  ]);
  // In the older form too, although the places of issues are today's.
  expect(await told({ preset: "quick", name: "a", ppo: { batchSize: 60 } })).toEqual([
    ['"batchSize"', expect.stringContaining("tuning.miniBatchSize: must divide")],
  ]);
  expect(await told({ preset: "quick", data: { limit: 10, heldOut: 0.5 } })).toEqual([
    ['"limit"', expect.stringContaining("tuning.batchSize: is more than the 5 texts")],
  ]);
  expect(await told({ preset: "quick", sampling: { promptTokens: { min: 99 } } })).toEqual([
    ['"min"', expect.stringContaining("sampling.promptTokens.max: must not be below min")],
  ]);
  expect(await told({ preset: "paper/pythia-70m/vader", tuning: { kl: { mode: "fixed" } } })).toEqual([
    ['"mode"', expect.stringContaining("tuning.kl.coefficient: is missing")],
  ]);
});

test("what the schema says is not said again, and what only the merged experiment shows is", async () => {
  for (const file of [
    {},
    [],
    { preset: "qick" },
    { preset: "quick", pppo: 1 },
    { preset: "quick", tuning: { epochs: 0 } },
    { preset: "quick", tuning: { steps: "many" } },
    { preset: "quick", name: "A b" },
    { preset: "quick", data: { source: { hub: "a/b" } } },
    { preset: "quick", tuning: { kl: { mode: "fixed", target: 7 } } },
  ])
    expect(await told(file)).toEqual([]);
  // The quick preset's penalty is fixed; the schema only knows that some have a target.
  expect(await told({ preset: "quick", tuning: { kl: { target: 7 } } })).toEqual([
    ['"target"', expect.stringContaining("tuning.kl.target: unknown key")],
  ]);
  expect(await told({ preset: "quick", tuning: { epochs: 0 }, data: { source: { file: "a.txt" } } })).toEqual([
    ['"file"', expect.stringContaining("must end in .jsonl")],
  ]);
});

test("whatever cannot be run is told by the schema or here", async () => {
  const schema = z.fromJSONSchema(experimentJsonSchema());
  const values = [0, -1, 1.5, 1e9, "x", "./a.jsonl", null, [], {}, true, { kind: "firstTokens" }, { mode: "fixed" }];
  const sections = Object.entries(parseExperiment({ preset: "quick" })).filter(([key]) => key !== "preset");
  let tried = 0;
  for (const [section, complete] of sections) {
    const fields = complete !== null && typeof complete === "object" ? Object.keys(complete) : [];
    const files = values.flatMap((value) => [
      { [section]: value },
      ...fields.map((field) => ({ [section]: { [field]: value } })),
    ]);
    for (const part of files) {
      const file = { preset: "quick", ...part };
      const isTold = !schema.safeParse(file).success || (await told(file)).length > 0;
      expect([file, isTold]).toEqual([file, isRefused(file)]);
      tried += Number(isTold);
    }
  }
  expect(tried).toBeGreaterThan(500);
});

function isRefused(file: object): boolean {
  try {
    parseExperiment(file);
    return false;
  } catch (error) {
    if (error instanceof ExperimentError) return true;
    throw error;
  }
}

test("of a text that is no JSON nothing is told, and a good one gives its experiment", async () => {
  for (const text of ["", "{", '{"preset": "quick",}', '{"preset": "quick"} // so'])
    expect(await checkExperimentText(text)).toEqual({ issues: [], experiment: undefined });
  expect((await checkExperimentText('{"preset": "quick", "name": "mine"}')).experiment?.name).toBe("mine");
});

test("thousands of equal keys, unknown keys or numbers without sense are told up to a bound, and the event loop turns meanwhile", async () => {
  const same = `{"preset": "quick", ${Array.from({ length: 60_000 }, () => '"seed": 1').join(",")}}`;
  const unknown = `{"preset": "quick", ${Array.from({ length: 50_000 }, (_, at) => `"k${at}": 1`).join(",")}}`;
  const huge = `{"preset": "quick", "divergence": {"layers": [${Array.from({ length: 150_000 }, () => "1e999").join(",")}]}}`;
  for (const text of [same, unknown, huge]) {
    let longestMs = 0;
    let beforeMs = cpuMs();
    const ticking = setInterval(() => {
      longestMs = Math.max(longestMs, cpuMs() - beforeMs);
      beforeMs = cpuMs();
    }, 1);
    const startMs = cpuMs();
    const { issues } = await checkExperimentText(text);
    clearInterval(ticking);
    expect(issues.length).toBeGreaterThan(text === unknown ? -1 : 0);
    expect(issues.length).toBeLessThanOrEqual(100);
    expect(cpuMs() - startMs).toBeLessThan(30_000);
    expect(longestMs).toBeLessThan(5000);
  }
  expect(() => parseExperiment(unknown)).toThrow(/k0: unknown key[\s\S]*k19: unknown key[\s\S]*and more/);
  expect(() => parseExperiment(`{"${"k".repeat(1e7)}": 1}`)).toThrow(ExperimentError);
  expect(() => parseExperiment(`{"preset": ${"[".repeat(1e5)}${"]".repeat(1e5)}}`)).toThrow(
    /nested more than 256 deep/,
  );
});
