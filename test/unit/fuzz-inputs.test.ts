import { expect, test } from "vitest";
import { fuzzInputs } from "../fuzz/inputs.ts";

// `node test/fuzz/inputs.ts --minutes 60` for an hour.
test("configs, names of tensors and replies of endpoints are taken or refused by name, whatever they are", () => {
  const { cases, outcomes, faults } = fuzzInputs({ seed: 1, seconds: 10, least: 2000 });
  console.info(`${cases} inputs: ${JSON.stringify(outcomes)}`);
  expect(faults).toEqual([]);
  expect(cases).toBeGreaterThanOrEqual(2000);
  // Every kind is really taken at times and really refused at times.
  for (const [name, { taken, refused }] of Object.entries(outcomes))
    expect([name, taken > 0, refused > 0]).toEqual([name, true, true]);
  expect(Object.keys(outcomes)).toHaveLength(5);
});
