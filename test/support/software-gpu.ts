import { existsSync, readdirSync } from "node:fs";
import type { MatmulAdapter } from "../../kernels/matmul/variants.ts";
import { matmulAdapterOf, NoAdapterError, openAdapter } from "../../server/engine/webgpu/adapter.ts";

/** Where Chromium keeps its Vulkan driver for machines without a GPU, by where distributions put Chromium. */
const drivers = ["/usr/lib/chromium", "/usr/lib/chromium-browser", "/opt/google/chrome"].map(
  (folder) => `${folder}/vk_swiftshader_icd.json`,
);

/**
 * What tests have for a GPU: a card, the driver that the environment names, or Chromium's software one. Settled once a process, when this is
 * imported and before any device is opened; undefined where there is none.
 */
export const adapterHere: MatmulAdapter | undefined = await settleAdapter();

async function settleAdapter(): Promise<MatmulAdapter | undefined> {
  const driver = drivers.find((path) => existsSync(path));
  const isNamed = ["VK_ICD_FILENAMES", "VK_DRIVER_FILES"].some((name) => process.env[name] !== undefined);
  if (driver === undefined || isNamed) return await lookForAdapter();
  const card = cardIsHere() ? await lookForAdapter() : undefined;
  if (card !== undefined) return card;
  process.env["VK_ICD_FILENAMES"] = driver;
  return await lookForAdapter();
}

/** Linux shows cards as files, also those that no driver is installed for; elsewhere Chromium has no driver for us to find. */
function cardIsHere(): boolean {
  const names = ["/dev", "/dev/dri"].flatMap((folder) => (existsSync(folder) ? readdirSync(folder) : []));
  return names.some((name) => /^(nvidia|renderD)\d+$/.test(name));
}

async function lookForAdapter(): Promise<MatmulAdapter | undefined> {
  try {
    const opened = await openAdapter();
    opened.device.destroy();
    return matmulAdapterOf(opened);
  } catch (error) {
    if (error instanceof NoAdapterError) return undefined;
    throw error;
  }
}
