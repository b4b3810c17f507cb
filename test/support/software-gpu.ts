import { existsSync, readdirSync } from "node:fs";
import type { Device } from "../../server/engine/device.ts";
import { NoAdapterError } from "../../server/engine/webgpu/adapter.ts";
import { createGpuDevice, type GpuDeviceOptions } from "../../server/engine/webgpu/device.ts";

/** Where Chromium keeps its Vulkan driver for machines without a GPU, by where distributions put Chromium. */
const drivers = ["/usr/lib/chromium", "/usr/lib/chromium-browser", "/opt/google/chrome"].map(
  (folder) => `${folder}/vk_swiftshader_icd.json`,
);

/** Lets Dawn find a software adapter where there is no card and no driver is named. Before the first device of a process is opened. */
export function useSoftwareGpu(): void {
  const driver = drivers.find((path) => existsSync(path));
  if (driver !== undefined && !cardIsHere()) process.env["VK_ICD_FILENAMES"] ??= driver;
}

/** Linux shows cards as files; elsewhere Chromium has no driver for us to find. */
function cardIsHere(): boolean {
  const names = ["/dev", "/dev/dri"].flatMap((folder) => (existsSync(folder) ? readdirSync(folder) : []));
  return names.some((name) => /^(nvidia|renderD)\d+$/.test(name));
}

/** A GPU device, or undefined where the machine has no adapter at all, not even a software one. */
export async function openGpuForTests(options: GpuDeviceOptions = {}): Promise<Device | undefined> {
  useSoftwareGpu();
  try {
    return await createGpuDevice(options);
  } catch (error) {
    if (error instanceof NoAdapterError) return undefined;
    throw error;
  }
}

/** What tests have for a GPU here. */
export async function gpuForTests(): Promise<"none" | "software" | "hardware"> {
  const device = await openGpuForTests();
  if (device === undefined) return "none";
  await device.close();
  return /swiftshader|llvmpipe/i.test(device.description) ? "software" : "hardware";
}
