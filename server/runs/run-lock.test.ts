import { mkdir, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { PATIENT, scratchFolder } from "../../test/unit/runs/scratch.ts";
import { type ProcessIdentity, thisProcess } from "./process-identity.ts";
import { Lock, LockedError, lockHolder } from "./run-lock.ts";

/** A lock as a process left it that gave its last sign of life so long ago. */
async function lockLeftBy(change: Partial<ProcessIdentity>, silentMs: number): Promise<string> {
  const folder = join(await scratchFolder(), "lock");
  await mkdir(join(folder, "7"), { recursive: true });
  const holder = { process: { ...(await thisProcess()), ...change }, purpose: "run old", since: "then" };
  await writeFile(join(folder, "7", "holder.json"), JSON.stringify(holder));
  const beat = join(folder, "7", "heartbeat");
  await writeFile(beat, "beat");
  const atS = (Date.now() - silentMs) / 1000;
  await utimes(beat, atS, atS);
  return folder;
}

const acquire = (folder: string) => Lock.acquire(folder, "run demo", "run demo");

test("one holder at a time; the second is told who and what for", async () => {
  const folder = join(await scratchFolder(), "lock");
  expect(await lockHolder(folder)).toBeUndefined();
  const lock = await acquire(folder);
  const error = await acquire(folder).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(LockedError);
  const { host } = await thisProcess();
  expect(error).toMatchObject({
    code: "locked",
    message: expect.stringContaining(`run demo is held by process ${process.pid} on ${host} (run demo, since `),
  });
  expect((await lockHolder(folder))?.purpose).toBe("run demo");
  await lock.release();
  expect(await lockHolder(folder)).toBeUndefined();
  await (await acquire(folder)).release();
  expect(await readdir(folder)).toEqual(["2"]);
});

test.each([
  ["a process that is gone", { pid: 2 ** 22 + 1 }, 0],
  ["a process id that has been given to another", { startTime: "1" }, 0],
  ["a boot before this one", { bootId: "before" }, 31_000],
  ["another machine that has been silent", { host: "another" }, 301_000],
])("is taken over from %s", async (_, change, silentMs) => {
  const folder = await lockLeftBy(change, silentMs);
  expect(await lockHolder(folder)).toBeUndefined();
  const lock = await acquire(folder);
  expect(await readdir(folder)).toEqual(["8"]);
  await lock.release();
});

test.each([
  ["another machine that gives signs of life", { host: "another" }, 200_000],
  ["another container", { pidNamespace: "pid:[1]" }, 0],
  ["a boot before this one, moments ago", { bootId: "before" }, 0],
])("is not taken over from %s", async (_, change, silentMs) => {
  const folder = await lockLeftBy(change, silentMs);
  await expect(acquire(folder)).rejects.toThrow("run old");
  expect(await readdir(folder)).toEqual(["7"]);
});

test("a holder that finds itself superseded is told, and takes nothing away from the other", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  try {
    const folder = join(await scratchFolder(), "lock");
    const lock = await acquire(folder);
    expect(lock.lost.aborted).toBe(false);
    await mkdir(join(folder, "2"));
    vi.advanceTimersByTime(10_000);
    await expect.poll(() => lock.lost.aborted, PATIENT).toBe(true);
    expect(lock.lost.reason).toMatchObject({ code: "locked" });
    await lock.release();
    expect(await readdir(folder)).toContain("2");
  } finally {
    vi.useRealTimers();
  }
});

test("a holder file cut by a power loss does not hold", async () => {
  const folder = await lockLeftBy({}, 0);
  await writeFile(join(folder, "7", "holder.json"), '{"proc');
  await (await acquire(folder)).release();
});

test("releasing a lock whose folder is gone is no error", async () => {
  const folder = join(await scratchFolder(), "lock");
  const lock = await acquire(folder);
  await rm(folder, { recursive: true });
  await lock.release();
});
