import { createCpuDevice } from "../../server/engine/cpu/device.ts";
import type { Device, DeviceKind } from "../../server/engine/device.ts";
import { createGpuDevice } from "../../server/engine/webgpu/device.ts";
import { hasGpuForTests } from "../support/software-gpu.ts";

/** A device that every conformance test runs on. */
export interface DeviceUnderTest {
  readonly kind: DeviceKind;
  readonly open: () => Promise<Device>;
}

/** Whether this machine has an adapter, a real one or Chromium's software one. Where it has none, devices.test.ts counts a skipped test. */
export const gpuIsHere = await hasGpuForTests();

/** Two threads, as on the smallest machine that the project promises anything for. */
const cpu: DeviceUnderTest = { kind: "cpu", open: () => createCpuDevice({ threads: 2 }) };
const gpu: DeviceUnderTest = { kind: "gpu", open: () => createGpuDevice() };

export const devicesUnderTest: readonly DeviceUnderTest[] = gpuIsHere ? [cpu, gpu] : [cpu];
