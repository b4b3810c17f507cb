import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { scratchFolder } from "../../test/unit/runs/scratch.ts";
import { EventLog } from "./event-log.ts";
import { disk } from "./files.ts";
import { followEvents } from "./follow.ts";
import { runPaths } from "./run-folder.ts";
import { Lock } from "./run-lock.ts";

const message = (text: string) => ({ kind: "message", level: "info", text }) as const;

async function folderWith(count: number): Promise<{ folder: string; events: EventLog }> {
  const folder = join(await scratchFolder(), "demo");
  mkdirSync(folder);
  const events = new EventLog(runPaths(folder).events, disk);
  for (let i = 1; i <= count; i++) events.append(message(`number ${i}`));
  return { folder, events };
}

async function collect(sequence: AsyncGenerator<{ seq: number }>): Promise<number[]> {
  const seqs: number[] = [];
  for await (const { seq } of sequence) seqs.push(seq);
  return seqs;
}

test("tells the past, and ends when nobody works on the run", async () => {
  const { folder, events } = await folderWith(3);
  events.close();
  expect(await collect(followEvents(folder))).toEqual([1, 2, 3]);
  expect(await collect(followEvents(folder, { after: 2 }))).toEqual([3]);
  expect(await collect(followEvents(folder, { after: 9 }))).toEqual([]);
});

test("a run that is not there has no events", async () => {
  expect(await collect(followEvents(join(await scratchFolder(), "none")))).toEqual([]);
});

test("goes on into the future while a process works on the run, waits for whole lines, and ends with it", async () => {
  const { folder, events } = await folderWith(1);
  const lock = await Lock.acquire(runPaths(folder).lock, "demo", "demo");
  const sequence = followEvents(folder);
  expect((await sequence.next()).value).toMatchObject({ seq: 1 });
  const next = sequence.next();
  events.append(message("two"));
  expect((await next).value).toMatchObject({ seq: 2, text: "two" });
  const line = `${JSON.stringify({ seq: 3, time: new Date().toISOString(), ...message("ünï") })}\n`;
  const bytes = Buffer.from(line);
  const third = sequence.next();
  appendFileSync(runPaths(folder).events, bytes.subarray(0, bytes.indexOf("ï") + 1));
  appendFileSync(runPaths(folder).events, bytes.subarray(bytes.indexOf("ï") + 1));
  expect((await third).value).toMatchObject({ seq: 3, text: "ünï" });
  const end = sequence.next();
  events.close();
  await lock.release();
  expect((await end).done).toBe(true);
});

test("numbers and follows on after a torn line was cut away", async () => {
  const { folder, events } = await folderWith(2);
  events.close();
  appendFileSync(runPaths(folder).events, '{"seq":3,"ti');
  const sequence = followEvents(folder, { until: "abort" });
  expect([(await sequence.next()).value, (await sequence.next()).value]).toMatchObject([{ seq: 1 }, { seq: 2 }]);
  const third = sequence.next();
  const again = new EventLog(runPaths(folder).events, disk);
  again.append(message("three"));
  again.close();
  expect((await third).value).toMatchObject({ seq: 3, text: "three" });
  await sequence.return(undefined);
});

test("until told to stop, it waits for later attempts", async () => {
  const { folder, events } = await folderWith(1);
  const controller = new AbortController();
  const sequence = followEvents(folder, { until: "abort", signal: controller.signal });
  await sequence.next();
  const second = sequence.next();
  events.append(message("two"));
  expect((await second).value).toMatchObject({ seq: 2 });
  const end = sequence.next();
  controller.abort();
  expect((await end).done).toBe(true);
  events.close();
});

test("a line of a newer version is named", async () => {
  const { folder, events } = await folderWith(0);
  events.close();
  writeFileSync(runPaths(folder).events, '{"seq":1,"time":"2026-01-01T00:00:00.000Z","kind":"new-kind"}\n');
  await expect(collect(followEvents(folder))).rejects.toMatchObject({ code: "input" });
  await expect(collect(followEvents(folder))).rejects.toThrow("newer version");
});
