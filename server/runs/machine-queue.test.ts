import { readdir, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { PATIENT, scratchFolder } from "../../test/unit/runs/scratch.ts";
import { stateFolder } from "../common/state-folder.ts";
import { takeTurn } from "./machine-queue.ts";
import { thisProcess } from "./process-identity.ts";

function queueIn(folder: string) {
  const waits: string[] = [];
  const order: string[] = [];
  const enter = async (purpose: string, signal = new AbortController().signal) => {
    const onWait = (forWhom: string) => {
      waits.push(`${purpose}: ${forWhom}`);
    };
    const turn = await takeTurn({ purpose, signal, onWait, stateFolder: folder });
    order.push(purpose);
    return turn;
  };
  return { enter, waits, order };
}

test("one at a time, first come first served, and those who wait are told for whom", async () => {
  const { enter, waits, order } = queueIn(await scratchFolder());
  const first = await enter("run a");
  const second = enter("run b");
  await expect
    .poll(() => waits, PATIENT)
    .toEqual([expect.stringMatching(/^run b: process \d+ on \S+ \(run a, since /)]);
  const third = enter("run c");
  await expect.poll(() => waits.length, PATIENT).toBe(2);
  expect(waits[1]).toMatch(/^run c: process \d+ on \S+ \(run b, waiting too\)/);
  await first.release();
  await (await second).release();
  await (await third).release();
  expect(order).toEqual(["run a", "run b", "run c"]);
});

test("who gives up while waiting leaves the queue", async () => {
  const folder = await scratchFolder();
  const { enter, waits } = queueIn(folder);
  const first = await enter("run a");
  const controller = new AbortController();
  const second = enter("run b", controller.signal);
  await expect.poll(() => waits.length, PATIENT).toBe(1);
  controller.abort();
  await expect(second).rejects.toMatchObject({ code: "cancelled" });
  await first.release();
  expect((await readdir(join(folder, "queue"), { recursive: true })).filter((name) => name.endsWith(".json"))).toEqual(
    [],
  );
});

test("the tickets of the dead and of the unreadable hold nobody up", async () => {
  const folder = await scratchFolder();
  const { enter, waits } = queueIn(folder);
  await (await enter("run a")).release();
  const queue = join(folder, "queue", hostname().replace(/[^A-Za-z0-9.-]/g, "_"));
  const dead = { ...(await thisProcess()), startTime: "1", purpose: "run dead" };
  await writeFile(join(queue, "000000000000001-x.json"), JSON.stringify(dead));
  await writeFile(join(queue, "000000000000002-x.json"), "{");
  await (await enter("run b")).release();
  expect(waits).toEqual([]);
  expect(await readdir(queue)).not.toContain("000000000000001-x.json");
});

test("the state folder is where the user or the system wants it", () => {
  expect(stateFolder({ LFP_STATE_DIR: "/here" })).toBe("/here");
  if (process.platform === "linux") {
    expect(stateFolder({ XDG_STATE_HOME: "/state" })).toBe("/state/lfp-lens");
    expect(stateFolder({})).toMatch(/\.local\/state\/lfp-lens$/);
  }
});
