/** Opens what a lens reads on a device of its own: a GPU if one is requested and available, else the CPU. */
import type { Device } from "../../engine/device.ts";
import { DeviceError, DeviceLostError } from "../../engine/errors.ts";
import { type DeviceChoice, openDevice } from "../devices.ts";

export interface OpenOnOptions {
  /**
   * The device; default the CPU. If a GPU is unavailable or fails, the CPU is used instead, and the description says
   * why.
   */
  readonly device?: DeviceChoice;
  /** Threads of the CPU; 0 or undefined: one per core. */
  readonly threads?: number;
  /** Environment from which the device takes its settings and files; default the process's. */
  readonly env?: NodeJS.ProcessEnv;
  /** Called with the reason when the CPU replaces a requested GPU. */
  readonly note?: (line: string) => void;
  /** Opens the device; closing what is opened on it closes the device too. */
  readonly open?: typeof openDevice;
  readonly signal?: AbortSignal;
}

/** A device, and how to move off it. */
export interface OwnDevice<S> {
  readonly device: Device;
  /** Description of the device, for people. */
  readonly description: string;
  /** Opens the same on the CPU. Undefined on the CPU itself. */
  readonly onCpu: ((cause: DeviceError) => Promise<S>) | undefined;
}

/**
 * Opens a device and calls `build` with it; if a GPU fails at that, with the CPU. Closes the device and throws what
 * `build` throws.
 */
export async function openOnDevice<S>(options: OpenOnOptions, build: (own: OwnDevice<S>) => Promise<S>): Promise<S> {
  const { device = "cpu", threads = 0, env = process.env, open = openDevice, signal, note } = options;
  const openOn = async (choice: DeviceChoice, cause?: DeviceError): Promise<S> => {
    const own = await open({ device: choice, threads, env, ...(note === undefined ? {} : { note }) });
    const remark = cause === undefined ? "" : ` (${failureOf(cause)})`;
    const onCpu = own.kind === "cpu" ? undefined : fallBack;
    try {
      signal?.throwIfAborted();
      return await build({ device: own, description: own.description + remark, onCpu });
    } catch (error) {
      await own.close();
      throw error;
    }
  };
  const fallBack = (cause: DeviceError): Promise<S> => {
    note?.(`computing on the CPU: ${failureOf(cause)}`);
    return openOn("cpu", cause);
  };
  try {
    return await openOn(device);
  } catch (error) {
    if (device === "cpu" || !(error instanceof DeviceError)) throw error;
    return await fallBack(error);
  }
}

/** A short reason for not using the GPU. */
function failureOf(cause: DeviceError): string {
  return cause instanceof DeviceLostError ? `the GPU was lost: ${cause.reason}` : cause.message;
}
