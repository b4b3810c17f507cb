import { expect, it } from "vitest";
import { devicesUnderTest, gpuIsHere } from "./devices.ts";

it.skipIf(!gpuIsHere)(
  "conformance tests run on a GPU adapter (apt install chromium brings a software one)",
  async () => {
    const gpu = devicesUnderTest.find(({ kind }) => kind === "gpu");
    const device = await gpu?.open();
    expect(device?.kind).toBe("gpu");
    expect(device?.description).toMatch(/^GPU, .+, Dawn$/);
    await device?.close();
  },
);
