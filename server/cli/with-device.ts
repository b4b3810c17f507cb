import type { Device } from "../engine/device.ts";
import { type DeviceWish, deviceChoices, openDevice } from "../pipeline/devices.ts";
import { option } from "./options.ts";

/** The options of every command that computes. */
const threadsOption = option.integer("threads of the matrix kernels; 0: one for each core", 0, {
  min: 0,
  max: 1024,
});
const deviceOption = option.choice("DEVICE", "what computes", deviceChoices, "cpu");
export const deviceOptions = { device: deviceOption, threads: threadsOption };

/** Opens a device while `use` runs. An abort closes it at once, which makes pending calls throw. */
export async function withDevice<T>(
  { signal, ...wish }: DeviceWish & Required<Pick<DeviceWish, "env">> & { readonly signal: AbortSignal },
  use: (device: Device) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const device = await openDevice(wish);
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
