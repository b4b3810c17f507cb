import { expect, test } from "vitest";
import { killRealRuns } from "./kill-real.ts";

test("kill -9 at random moments of a run of the real pipeline, and in its last stages: each resume ends with the bytes of the uncut run", {
  timeout: 600_000,
}, async () => {
  const cuts = await killRealRuns(4, 11, ["autoencoders", "examples", "ablate"]);
  expect(cuts.map(({ where, faults }) => ({ where, faults }))).toEqual(
    cuts.map(({ where }) => ({ where, faults: [] })),
  );
  expect(cuts.filter(({ late }) => !late).length).toBeGreaterThanOrEqual(6);
});
