/** What is looked through stands on a device of its own: a GPU where one is wished for and there, else the CPU. */
import type { Device } from "../../engine/device.ts";
import { DeviceError, DeviceLostError } from "../../engine/errors.ts";
import { type DeviceChoice, openDevice } from "../devices.ts";

export interface OpenOnOptions {
  /** What computes; the CPU unless told. A GPU that cannot be had, or fails, leaves what is opened on the CPU, and its description says why. */
  readonly device?: DeviceChoice;
  /** Of the CPU; 0 or undefined: one for each core. */
  readonly threads?: number;
  /** Where the device finds its settings and files; the process's own unless told. */
  readonly env?: NodeJS.ProcessEnv;
  /** Told why the CPU computes, where a GPU was wished for. */
  readonly note?: (line: string) => void;
  /** Opens the device, which closes with what is opened on it. */
  readonly open?: typeof openDevice;
  readonly signal?: AbortSignal;
}

/** A device and how to leave it. */
export interface OwnDevice<S> {
  readonly device: Device;
  /** Of the device, for people. */
  readonly description: string;
  /** Opens the same on the CPU. Undefined where the CPU computes. */
  readonly onCpu: ((cause: DeviceError) => Promise<S>) | undefined;
}

/** Opens a device and `build`s on it; where a GPU fails at that, on the CPU. Throws what `build` throws, with the device closed. */
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

/** Why nothing is on the GPU, in few words. */
function failureOf(cause: DeviceError): string {
  return cause instanceof DeviceLostError ? `the GPU was lost: ${cause.reason}` : cause.message;
}
