import { join } from "node:path";
import { openSafetensors } from "../../models/safetensors.ts";

/** File of the `log-ratio` stage, and its tensor [3n]. */
export const logRatiosFile = "log-ratios.safetensors";
export const logRatiosTensor = "logRatio";

/** lambda of every version of every triple [3n], in the order of their features; NaN where it is undefined. */
export async function readLogRatios(folder: string): Promise<Float32Array> {
  await using source = await openSafetensors(join(folder, logRatiosFile));
  return await source.readFloat32(logRatiosTensor);
}
