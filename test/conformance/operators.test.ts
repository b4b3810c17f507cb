import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../server/engine/device.ts";
import { checkOperator } from "./check-operator.ts";
import { devicesUnderTest } from "./devices.ts";
import { readOperatorCases } from "./fixtures.ts";

const cases = readOperatorCases();

describe.each(devicesUnderTest)("operators on $kind equal PyTorch forward and backward", ({ open }) => {
  let device: Device;
  beforeAll(async () => {
    device = await open();
  });
  afterAll(() => device.close());

  it.each(cases.map((example) => [example.name, example] as const))("%s", async (_, example) => {
    expect.hasAssertions();
    await checkOperator(device, example);
  });
});
