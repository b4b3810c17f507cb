import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { mkdir, rename, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, it, test } from "vitest";
import { packageRoot } from "../../../server/common/package-root.ts";
import { makeFolder } from "../../../server/runs/files.ts";
import { runPipeline } from "../../../server/runs/run.ts";
import { prepareRun } from "../../../server/runs/run-folder.ts";
import { Lock, lockHolder } from "../../../server/runs/run-lock.ts";
import { smallPlan } from "../runs/fake-stages.ts";
import { scratchFolder } from "../runs/scratch.ts";

describe.skipIf(process.platform === "win32")("a run's folder", () => {
  it.each([
    ["that is a file", async (path: string) => writeFile(path, "")],
    ["that is a loop of links", async (path: string) => symlink("mine", path)],
  ])("%s is the machine's matter, not a defect", async (_, make) => {
    const root = await scratchFolder();
    await make(join(root, "mine"));
    await expect(prepareRun(root, "mine", {})).rejects.toMatchObject({
      code: "resource",
      message: expect.stringMatching(/folder .*mine cannot be made/),
    });
  });

  it("whose lock is a file, or holds numbers beyond all locks, is said at once", async () => {
    const folder = join(await scratchFolder(), "mine");
    await mkdir(folder);
    await writeFile(join(folder, "lock"), "");
    await expect(runPipeline([], folder, { seed: 0, deviceClass: "cpu" })).rejects.toMatchObject({ code: "resource" });
    const lock = join(await scratchFolder(), "lock");
    for (const number of ["9007199254740992", "9007199254740993"]) await mkdir(join(lock, number), { recursive: true });
    await expect(Lock.acquire(lock, "it", "a test")).rejects.toThrow(
      /holds "900719925474099\d", and no lock has such a number/,
    );
    await expect(lockHolder(lock)).rejects.toMatchObject({ code: "input" });
  });

  it("of many numbers is taken with the next", async () => {
    const lock = await scratchFolder();
    await Promise.all(Array.from({ length: 500 }, (_, at) => mkdir(join(lock, String(at + 1)))));
    const held = await Lock.acquire(lock, "it", "a test");
    expect((await lockHolder(lock))?.purpose).toBe("a test");
    await held.release();
  });

  it("that goes away while a run works in it is named, not one of its files", async () => {
    const root = await scratchFolder();
    const folder = join(root, "mine");
    const outcome = await runPipeline(smallPlan(), folder, {
      seed: 1,
      deviceClass: "cpu",
      queued: false,
      onEvent: (event) => {
        if (event.kind === "stage-finished") void rename(folder, join(root, "elsewhere"));
      },
    });
    expect(outcome).toMatchObject({ kind: "failed", code: "not-found", resumable: true });
    expect(outcome).toHaveProperty(
      "message",
      expect.stringContaining(`${folder} is gone: it was deleted, moved or renamed`),
    );
  });
});

test.skipIf(process.platform !== "linux")(
  "a folder is not made where the system makes none, nor tried for ever",
  async () => {
    await expect(makeFolder("/proc/self/x/y")).rejects.toHaveProperty("syscall", "mkdir");
    const folder = join(await scratchFolder(), "a", "b", "c");
    await Promise.all(Array.from({ length: 8 }, () => makeFolder(folder)));
    await makeFolder(folder);
  },
);

test("many make the same new folders at once, and all succeed", async () => {
  const root = await scratchFolder();
  for (let round = 0; round < 200; round++) {
    const folder = join(root, `${round}`, "a", "b", "c");
    await Promise.all(Array.from({ length: 16 }, (_, at) => makeFolder(at % 2 === 0 ? folder : dirname(folder))));
  }
});

describe.skipIf(process.platform !== "linux")("a full disk behind an output", () => {
  /** The exit status of `lfp` with its output or its notes on a full disk, and what the other one got. */
  async function onFullDisk(
    args: readonly string[],
    which: "stdout" | "stderr",
  ): Promise<{ code: number | null; other: string }> {
    const full = openSync("/dev/full", "w");
    const process_ = spawn(process.execPath, [join(packageRoot(), "server/cli.ts"), ...args], {
      stdio: ["ignore", which === "stdout" ? full : "pipe", which === "stderr" ? full : "pipe"],
    });
    closeSync(full);
    let other = "";
    (which === "stdout" ? process_.stderr : process_.stdout)?.on("data", (chunk: Buffer) => {
      other += chunk.toString();
    });
    const code = await new Promise<number | null>((resolve) => {
      process_.on("close", resolve);
    });
    return { code, other };
  }

  it("ends with the machine's code where nobody got the output", async () => {
    const { code, other } = await onFullDisk(["--version"], "stdout");
    expect({ code, other }).toEqual({
      code: 6,
      other: expect.stringMatching(/^lfp: the output could not be written: .*ENOSPC/),
    });
    expect(other.trimEnd()).not.toContain("\n");
  });

  it("does not end a command whose notes are lost", async () => {
    expect(await onFullDisk(["status", "--runs", await scratchFolder()], "stderr")).toEqual({
      code: 0,
      other: "no runs\n",
    });
    expect((await onFullDisk(["no-such-command"], "stderr")).code).toBe(2);
  });
});
