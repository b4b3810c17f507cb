import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { lockHolder } from "../../../server/runs/run-lock.ts";
import { scratchFolder } from "./scratch.ts";

const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

const PROGRAM = fileURLToPath(new URL("lock-racer.ts", import.meta.url));

// The racer looks into /proc to tell a killed process from a living one.
test.runIf(process.platform === "linux")(
  "16 processes race for one lock, half of them die holding it: never two at a time, and everybody gets it",
  async () => {
    const root = await scratchFolder();
    const [folder, inside] = [join(root, "lock"), join(root, "inside")];
    const env = { ...process.env, NODE_COMPILE_CACHE: join(root, "compile-cache") };
    const race = async (rounds: number, dies: boolean) => {
      const args = [PROGRAM, folder, inside, String(rounds), String(dies)];
      const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"], env });
      children.push(child);
      expect(await once(child, "exit")).toEqual(dies ? [null, "SIGKILL"] : [0, null]);
    };
    // Alone, it also leaves its compiled code for the others.
    await race(1, false);
    await Promise.all(Array.from({ length: 16 }, (_, i) => race(8, i % 2 === 1)));
    expect(await lockHolder(folder)).toBeUndefined();
    // 16 times 8 holdings, each with a number of its own; only the last is left.
    const numbers = (await readdir(folder)).filter((name) => /^\d+$/.test(name));
    expect(numbers.map(Number)).toEqual([expect.toSatisfy((number: number) => number >= 128)]);
  },
  120_000,
);
