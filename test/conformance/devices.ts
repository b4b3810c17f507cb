import { factorErrors } from "../../kernels/matmul/variants.ts";
import { createCpuDevice } from "../../server/engine/cpu/device.ts";
import type { Device, DeviceKind } from "../../server/engine/device.ts";
import { createGpuDevice } from "../../server/engine/webgpu/device.ts";
import { adapterHere } from "../support/software-gpu.ts";

/** A device that every conformance test runs on. */
export interface DeviceUnderTest {
  readonly kind: DeviceKind;
  readonly open: () => Promise<Device>;
}

/** The machine's adapter: a real one or Chromium's software one. Where it has none, devices.test.ts counts a skipped test. */
export const gpuIsHere = adapterHere !== undefined;

/** A card, and no software. */
export const cardIsHere = adapterHere?.software === false;

/** Two threads, as on the smallest machine that the project promises anything for. */
const cpu: DeviceUnderTest = { kind: "cpu", open: () => createCpuDevice({ threads: 2 }) };
const gpu: DeviceUnderTest = { kind: "gpu", open: () => createGpuDevice() };

export const devicesUnderTest: readonly DeviceUnderTest[] = gpuIsHere ? [cpu, gpu] : [cpu];

/** The GPU with factors of products as halves, where it has matrices of those. */
export const matrixDevices = (["split", "half"] as const).flatMap((precision) => {
  const listed = adapterHere?.matrices.some((own) => own.componentType === "f16" && own.resultComponentType === "f32");
  if (listed !== true) return [];
  return [
    { kind: `gpu, ${precision}`, factorError: factorErrors[precision], open: () => createGpuDevice({ precision }) },
  ];
});

/** A GPU that binds so little at once that the matrices of a tiny model are bound in windows, of 97 rows of 32 in three. */
export const windowedDevices: readonly (Omit<DeviceUnderTest, "kind"> & { readonly kind: string })[] = gpuIsHere
  ? [{ kind: "gpu in windows", open: () => createGpuDevice({ maxBindingBytes: 6144 }) }]
  : [];

/** For tests of hundreds of runs, which take minutes on an adapter that is software. */
export const fastDevicesUnderTest: readonly DeviceUnderTest[] = cardIsHere ? [cpu, gpu] : [cpu];
