import { availableParallelism } from "node:os";
import type { Precision } from "../../kernels/matmul/choose.ts";
import { gpuMemory, realMemorySources } from "../common/gpu-memory.ts";
import { stateFolder } from "../common/state-folder.ts";
import { readTuning } from "../common/tuning-file.ts";
import { createCpuDevice } from "../engine/cpu/device.ts";
import { wishedRuntime } from "../engine/cpu/runtime.ts";
import type { Device } from "../engine/device.ts";
import { NoAdapterError } from "../engine/webgpu/adapter.ts";
import { createGpuDevice } from "../engine/webgpu/device.ts";
import { slug } from "../protocol/slug.ts";

/**
 * The user's choice of device. `auto` takes a GPU if there is one that is not a software renderer, else the CPU.
 * `gpu-split` and `gpu-half` compute matrix products with lower-precision factors where the GPU has matrix units for
 * float16 (see `Precision`).
 */
export const deviceChoices = ["cpu", "gpu", "gpu-split", "gpu-half", "auto"] as const;
export type DeviceChoice = (typeof deviceChoices)[number];

const precisionOf: Readonly<Record<Exclude<DeviceChoice, "cpu">, Precision>> = {
  gpu: "f32",
  "gpu-split": "split",
  "gpu-half": "half",
  auto: "f32",
};

export interface DeviceWish {
  readonly device: DeviceChoice;
  /** Threads of the CPU's matrix kernels; 0 or undefined: one per core. */
  readonly threads?: number;
  readonly env?: NodeJS.ProcessEnv;
  /** Called with the reason when `auto` falls back to the CPU. */
  readonly note?: (line: string) => void;
}

/**
 * Why `auto` found no GPU in this process, cached: a new search for every text takes a while, and drivers write to
 * standard error each time.
 */
let noGpuHere: NoAdapterError | undefined;

/** Opens the requested device. Throws `NoAdapterError` when a GPU was requested and none exists. */
export async function openDevice(wish: DeviceWish): Promise<Device> {
  const { device, threads = 0, env = process.env, note } = wish;
  const openCpu = (): Promise<Device> =>
    createCpuDevice({ ...(threads === 0 ? {} : { threads }), runtime: wishedRuntime(env) });
  if (device === "cpu") return await openCpu();
  try {
    if (device === "auto" && noGpuHere !== undefined) throw noGpuHere;
    return await createGpuDevice({
      hardwareOnly: device === "auto",
      precision: precisionOf[device],
      tuned: (adapter) => readTuning(stateFolder(env), adapter),
      memory: (adapter) => gpuMemory(adapter, realMemorySources(env)),
    });
  } catch (error) {
    if (device !== "auto" || !(error instanceof NoAdapterError)) throw error;
    noGpuHere = error;
    note?.(`computing on the CPU: ${error.message}`);
    return await openCpu();
  }
}

/**
 * A device that can be opened repeatedly, and its class in the keys of outputs, which names it as far as it changes
 * their numbers.
 */
export interface ChosenDevice {
  readonly deviceClass: string;
  open(): Promise<Device>;
  /** Opens up to `most` that compute side by side: of the CPU, which share its threads; of a GPU one. */
  openSideBySide(most: number): Promise<readonly Device[]>;
}

/**
 * Decides once which device a whole run computes on, so that all its stages use the same. Throws what `openDevice`
 * throws.
 */
export async function chooseDevice(wish: DeviceWish): Promise<ChosenDevice> {
  if (wish.device === "cpu") return cpuDevice(wish);
  const device = await openDevice(wish);
  const { kind, description } = device;
  await device.close();
  if (kind === "cpu") return cpuDevice(wish);
  const own = wish.device === "auto" ? "gpu" : wish.device;
  const open = (): Promise<Device> => openDevice({ ...wish, device: own });
  return {
    deviceClass: `${prefixes[own]}${slugOf(description)}`,
    open,
    openSideBySide: async () => [await open()],
  };
}

/** Prefixes of the classes of GPUs: numbers depend on the precision of the factors. */
const prefixes = { gpu: "webgpu:", "gpu-split": "webgpu-split:", "gpu-half": "webgpu-half:" } as const;

/** The choice that opens devices of a class again. */
export function choiceOfClass(deviceClass: string): DeviceChoice {
  const kinds = ["gpu", "gpu-split", "gpu-half"] as const;
  return kinds.find((kind) => deviceClass.startsWith(prefixes[kind])) ?? "cpu";
}

function cpuDevice(wish: DeviceWish): ChosenDevice {
  const openWith = (threads: number): Promise<Device> => openDevice({ ...wish, device: "cpu", threads });
  const { threads: wished = 0 } = wish;
  const cores = wished === 0 ? availableParallelism() : wished;
  return {
    deviceClass: `cpu-${availableParallelism()}`,
    open: () => openWith(wished),
    openSideBySide: async (most) => {
      const count = Math.max(1, Math.min(most, cores));
      return await Promise.all(Array.from({ length: count }, () => openWith(Math.floor(cores / count))));
    },
  };
}

/** `GPU, NVIDIA H200, Dawn` -> `nvidia-h200`. */
function slugOf(description: string): string {
  return slug(description.replace(/^GPU, /, "").replace(/, Dawn$/, ""));
}
