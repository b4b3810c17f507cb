import { expect, it } from "vitest";
import { devicesUnderTest, gpuIsHere, matrixDevices } from "./devices.ts";

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

it.skipIf(matrixDevices.length === 0)("the adapter's matrices of halves compute rightly and are used", async () => {
  for (const { open } of matrixDevices) {
    const device = await open();
    expect(device.description).toMatch(/^GPU, .+, Dawn$/);
    await device.close();
  }
});
