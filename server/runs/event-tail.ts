/** The end of a run's growing files. */
import { tryJson } from "../common/json.ts";
import { openRegular } from "../common/text-file.ts";
import { RunEvent, type StageProgress } from "../protocol/run-events.ts";
import { unlessMissing } from "./files.ts";
import { runPaths } from "./run-folder.ts";

/** Number of bytes at the end of a file that are searched for the newest lines. */
const TAIL_BYTES = 1 << 16;

/** Whole lines at the end of a file. */
export async function lastLines(path: string): Promise<string[]> {
  const handle = await unlessMissing(openRegular(path));
  if (handle === undefined) return [];
  try {
    const { size } = await handle.stat();
    const start = Math.max(0, size - TAIL_BYTES);
    const buffer = Buffer.alloc(size - start);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, start);
    const lines = buffer.toString("utf8", 0, bytesRead).split("\n");
    return lines.slice(start > 0 ? 1 : 0, -1);
  } finally {
    await handle.close();
  }
}

/** The event of a line; undefined for a line that is none. */
export function parseEvent(line: string): RunEvent | undefined {
  return RunEvent.safeParse(tryJson(line)).data;
}

/** A stage's latest progress; null if it has reported none since it was last started. */
export function lastProgress(lines: readonly string[], stage: string): StageProgress | null {
  for (const line of lines.toReversed()) {
    if (!line.includes(`"${stage}"`)) continue;
    const event = parseEvent(line);
    if (event?.kind === "stage-started" && event.stage === stage) return null;
    if (event?.kind !== "progress" || event.stage !== stage) continue;
    const { done, total, unit, ratePerS, secondsLeft } = event;
    return { done, total, unit, ratePerS, secondsLeft };
  }
  return null;
}

/** How far a run's stage is by its events; null if it has reported nothing since it was last started. */
export async function readProgress(folder: string, stage: string): Promise<StageProgress | null> {
  return lastProgress(await lastLines(runPaths(folder).events), stage);
}
