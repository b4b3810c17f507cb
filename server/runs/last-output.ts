import { openRegular } from "../common/text-file.ts";
import { visibleLine } from "../common/untrusted-text.ts";
import { unlessMissing } from "./files.ts";
import { runPaths } from "./run-folder.ts";

/** The last line that a run's detached process or job wrote; empty if it wrote none. */
export async function lastOutput(folder: string): Promise<string> {
  await using handle = await unlessMissing(openRegular(runPaths(folder).output));
  if (handle === undefined) return "";
  const { size } = await handle.stat();
  const bytes = Buffer.alloc(Math.min(size, 4096));
  const { bytesRead } = await handle.read(bytes, 0, bytes.length, size - bytes.length);
  const lines = bytes.toString("utf8", 0, bytesRead).split("\n");
  return visibleLine(lines.findLast((line) => line.trim() !== "")?.trim() ?? "", 300);
}
