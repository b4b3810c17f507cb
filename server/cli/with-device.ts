import { createCpuDevice } from "../engine/cpu/device.ts";
import type { Device } from "../engine/device.ts";
import { option } from "./options.ts";

/** The option of every command that computes. */
export const threadsOption = option.integer("threads of the matrix kernels; 0: one for each core", 0, {
  min: 0,
  max: 1024,
});

/** Opens the CPU device for as long as `use` runs. An abort closes it at once, which makes whatever waits for it throw. */
export async function withDevice<T>(
  { threads, signal }: { readonly threads: number; readonly signal: AbortSignal },
  use: (device: Device) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const device = await createCpuDevice(threads === 0 ? {} : { threads });
  const stop = (): void => {
    void device.close();
  };
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await use(device);
  } finally {
    signal.removeEventListener("abort", stop);
    await device.close();
  }
}
