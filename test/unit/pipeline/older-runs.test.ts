import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { experimentDigest, readCalibration } from "../../../server/pipeline/artifacts/calibration-file.ts";
import { loadExperiment, parseExperiment } from "../../../server/pipeline/experiment/resolve.ts";
import { planCalibration } from "../../../server/pipeline/plan-calibration.ts";
import { planExperiment } from "../../../server/pipeline/plan-experiment.ts";
import { planKeys } from "../../support/plan-keys.ts";

const folder = fileURLToPath(new URL("../../fixtures/older-experiments", import.meta.url));
const starterRun = fileURLToPath(new URL("../../../assets/starter-run", import.meta.url));

const keysSchema = z.strictObject({
  plans: z.record(z.string(), z.record(z.string(), z.string())),
  calibrations: z.record(z.string(), z.record(z.string(), z.string())),
  digests: z.record(z.string(), z.string()),
});

/** Made by the last version that wrote experiments in the older form. */
async function olderKeys(): Promise<z.infer<typeof keysSchema>> {
  return keysSchema.parse(JSON.parse(await readFile(join(folder, "keys.json"), "utf8")));
}

describe("runs of the older form keep the keys of all their stages, so that nothing is computed anew", () => {
  it.each(["quick", "pair", "edited"])("%s", async (name) => {
    const experiment = await loadExperiment(join(folder, `${name}.json`));
    const keys = planKeys(await planExperiment(experiment, { run: name }));
    expect(keys).toEqual((await olderKeys()).plans[name]);
    // What the run's folder holds from now on says the same.
    const again = parseExperiment(JSON.stringify(experiment));
    expect(planKeys(await planExperiment(again, { run: name }))).toEqual(keys);
  });

  it("calibrations too", async () => {
    const quick = await loadExperiment(join(folder, "quick.json"));
    const options = { sets: 1, wordsPerSet: 5, factor: -1, nulls: 1, met: 10, run: "c" };
    const { calibrations } = await olderKeys();
    expect(planKeys((await planCalibration(quick, options)).stages)).toEqual(calibrations["quick"]);
    expect(planKeys((await planCalibration(quick, { ...options, steps: 10 })).stages)).toEqual(
      calibrations["tenSteps"],
    );
  });

  it("and the calibration in their folder speaks for them", async () => {
    const { digests } = await olderKeys();
    for (const name of ["quick", "edited"])
      expect(experimentDigest(await loadExperiment(join(folder, `${name}.json`)))).toBe(digests[name]);
    const pair = await loadExperiment(join(folder, "pair.json"));
    expect(experimentDigest({ ...pair, tuning: { kind: "given", model: "TUNED" } })).toBe(digests["pair"]);
    const own = await loadExperiment(join(starterRun, "experiment.json"));
    expect(await readCalibration(starterRun, own)).toBeDefined();
  });
});

describe("a setting that changes what a stage computes changes its key", () => {
  const keysWith = async (more: object) =>
    planKeys(await planExperiment(parseExperiment({ preset: "quick", ...more }), { run: "r" }));
  it.each([
    [{ tuning: { learningRate: 1e-5 } }, ["tune", "evaluate", "restore", "attribute", "ablate", "report"]],
    [{ sampling: { rows: 32 } }, ["evaluate", "restore", "attribute", "ablate"]],
    [{ sampling: { scoredRows: 8 } }, ["evaluate", "restore", "attribute", "ablate"]],
    [{ sampling: { temperature: 0.5 } }, ["tune", "evaluate", "restore", "attribute", "ablate"]],
    [{ reward: { text: "completion" } }, ["tune", "evaluate", "restore", "attribute", "ablate", "report"]],
  ])("%j", async (more, expected) => {
    const [plain, changed] = [await keysWith({}), await keysWith(more)];
    expect(new Set(Object.keys(plain).filter((id) => plain[id] !== changed[id]))).toEqual(new Set(expected));
  });
});
