import { expect, it } from "vitest";
import { modelFolder } from "../../test/conformance/fixtures.ts";
import { createCpuDevice } from "../engine/cpu/device.ts";
import { benchPpo } from "./ppo-timing.ts";

it("times a tiny model and checks what it computed", async () => {
  const device = await createCpuDevice({ threads: 1 });
  const model = { folder: modelFolder("gpt-neox"), name: "tiny" };
  const overrides = { batchSize: 16, miniBatchSize: 8, epochs: 1, learningRate: 1e-3 };
  const result = await benchPpo({ device, model, steps: 2, overrides });
  expect(result).toMatchObject({ name: "ppo", model: "tiny", batch: 16, steps: 2, check: "ok" });
  const { samplingShare, scoringShare, trainingShare } = result;
  expect(samplingShare + scoringShare + trainingShare).toBeGreaterThan(0.5);
  expect(samplingShare + scoringShare + trainingShare).toBeLessThanOrEqual(1);
  expect(result.episodesPerSecond).toBeCloseTo(16 / result.stepSeconds, 6);
  const still = await benchPpo({ device, model, steps: 1, overrides: { ...overrides, learningRate: 1e-30 } });
  expect(still.check).toBe("the policy did not learn");
  await device.close();
});
