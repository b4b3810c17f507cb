import { expect, test } from "vitest";
import { z } from "zod";
import { checkExperimentText } from "./file-issues.ts";
import { ExperimentError } from "./issues.ts";
import { experimentJsonSchema } from "./json-schema.ts";
import { parseExperiment } from "./resolve.ts";

/** What is told, by the words of the file that it stands at. */
function told(file: object): (readonly [where: string, message: string])[] {
  const text = JSON.stringify(file, undefined, 2);
  return checkExperimentText(text).issues.map(({ start, end, path, message }) => [
    text.slice(start, end),
    `${path}: ${message}`,
  ]);
}

test("a rule between fields stands at the key that it is about", () => {
  expect(told({ preset: "quick", ppo: { batchSize: 60, miniBatchSize: 16 } })).toEqual([
    ['"miniBatchSize"', expect.stringContaining("ppo.miniBatchSize: must divide batchSize")],
  ]);
  expect(told({ preset: "quick", divergence: { layers: [1, 1] } })).toEqual([
    ['"layers"', expect.stringContaining("names a layer twice")],
  ]);
  expect(told({ preset: "quick", tuned: "./t", ppo: { steps: 3 } })).toEqual([
    ['"steps"', expect.stringContaining("ppo.steps: has no effect")],
  ]);
});

test("where the preset gives the field, it stands at the key that brought it about", () => {
  expect(told({ preset: "quick", name: "a", ppo: { batchSize: 60 } })).toEqual([
    ['"batchSize"', expect.stringContaining("ppo.miniBatchSize: must divide")],
  ]);
  expect(told({ preset: "quick", data: { limit: 10, heldOut: 0.5 } })).toEqual([
    ['"limit"', expect.stringContaining("ppo.batchSize: is more than the 5 texts")],
  ]);
  expect(told({ preset: "quick", ppo: { promptTokens: { min: 99 } } })).toEqual([
    ['"min"', expect.stringContaining("ppo.promptTokens.max: must not be below min")],
  ]);
  expect(told({ preset: "paper/pythia-70m/vader", ppo: { kl: { mode: "fixed" } } })).toEqual([
    ['"mode"', expect.stringContaining("ppo.kl.coefficient: is missing")],
  ]);
});

test("what the schema says is not said again, and what only the merged experiment shows is", () => {
  for (const file of [
    {},
    [],
    { preset: "qick" },
    { preset: "quick", pppo: 1 },
    { preset: "quick", ppo: { epochs: 0 } },
    { preset: "quick", ppo: { steps: "many" } },
    { preset: "quick", name: "A b" },
    { preset: "quick", data: { source: { hub: "a/b" } } },
    { preset: "quick", ppo: { kl: { mode: "fixed", target: 7 } } },
  ])
    expect(told(file)).toEqual([]);
  // The quick preset's penalty is fixed; the schema only knows that some have a target.
  expect(told({ preset: "quick", ppo: { kl: { target: 7 } } })).toEqual([
    ['"target"', expect.stringContaining("ppo.kl.target: unknown key")],
  ]);
  expect(told({ preset: "quick", ppo: { epochs: 0 }, data: { source: { file: "a.txt" } } })).toEqual([
    ['"file"', expect.stringContaining("must end in .jsonl")],
  ]);
});

test("whatever cannot be run is told by the schema or here", () => {
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
      const isTold = !schema.safeParse(file).success || told(file).length > 0;
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

test("of a text that is no JSON nothing is told, and a good one gives its experiment", () => {
  for (const text of ["", "{", '{"preset": "quick",}', '{"preset": "quick"} // so'])
    expect(checkExperimentText(text)).toEqual({ issues: [], experiment: undefined });
  expect(checkExperimentText('{"preset": "quick", "name": "mine"}').experiment?.name).toBe("mine");
});
