import { createCpuDevice } from "../../server/engine/cpu/device.ts";
import type { Device, DeviceKind } from "../../server/engine/device.ts";

/** A device that every conformance test runs on, or why it is skipped here. */
export interface DeviceUnderTest {
  readonly kind: DeviceKind;
  readonly open: () => Promise<Device>;
}

/** Two threads, as on the smallest machine that the project promises anything for. */
export const devicesUnderTest: readonly DeviceUnderTest[] = [
  { kind: "cpu", open: () => createCpuDevice({ threads: 2 }) },
];
