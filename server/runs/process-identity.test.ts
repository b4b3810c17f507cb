import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { PATIENT } from "../../test/unit/runs/scratch.ts";
import { identify, isSameProcess, livenessOf, thisProcess } from "./process-identity.ts";

test("this process is alive, and is itself", async () => {
  const self = await thisProcess();
  expect(self.pid).toBe(process.pid);
  expect(await livenessOf(self)).toBe("alive");
  expect(await identify(process.pid)).toEqual(self);
  expect(isSameProcess(self, { ...self })).toBe(true);
});

test("a process that has ended is gone, and so is one whose id has been given to another", async () => {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
  const identity = await identify(child.pid ?? 0);
  if (identity === undefined) return expect.unreachable();
  expect(await livenessOf(identity)).toBe("alive");
  expect(await livenessOf({ ...identity, startTime: "12345" })).toBe("gone");
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(await livenessOf(identity)).toBe("gone");
  expect(await identify(identity.pid)).toBeUndefined();
});

test("elsewhere we cannot look, and another boot is told apart", async () => {
  const self = await thisProcess();
  expect(await livenessOf({ ...self, host: "another" })).toBe("elsewhere");
  expect(await livenessOf({ ...self, pidNamespace: "pid:[1]" })).toBe("elsewhere");
  expect(await livenessOf({ ...self, bootId: "another" })).toBe("other-boot");
});

test.runIf(process.platform === "linux")("a zombie is gone", async () => {
  // The shell becomes `sleep`, which never asks how its child ended.
  const parent = spawn("sh", ["-c", "sleep 0.05 & echo $!; exec sleep 60"], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const [line] = await once(createInterface(parent.stdout), "line");
    const identity = { ...(await thisProcess()), pid: Number(line), startTime: "" };
    await expect.poll(() => livenessOf(identity), PATIENT).toBe("gone");
    expect(process.kill(Number(line), 0)).toBe(true);
  } finally {
    parent.kill("SIGKILL");
  }
});
