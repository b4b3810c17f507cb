import { cp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { scratchFolder } from "../../test/unit/runs/scratch.ts";
import { InternalError } from "../common/errors.ts";
import { Random } from "../common/random.ts";
import { CheckpointStore, type CheckpointToSave, type StoredCheckpoint } from "./checkpoint.ts";
import { disk } from "./files.ts";

const KEY = "k".repeat(64);

function checkpointAt(step: number): CheckpointToSave {
  const weights = Float32Array.from({ length: 100 }, (_, i) => step + i / 7);
  return {
    content: {
      state: { step, rate: 1e-3 / step, list: [step, -0] },
      files: { "weights.bin": new Uint8Array(weights.buffer), moments: [Uint8Array.of(step), Uint8Array.of(1, 2)] },
    },
    random: Random.fromSeed(step).state,
    log: Buffer.from(`{"step":${step}}\n`),
    workedMs: step * 1000,
  };
}

async function contentsOf(stored: StoredCheckpoint | undefined) {
  if (stored === undefined) return undefined;
  const { checkpoint, ...rest } = stored;
  const files = await Promise.all(
    checkpoint.fileNames.map(async (name) => [name, Buffer.from(await checkpoint.read(name)).toString("hex")]),
  );
  return { ...rest, log: Buffer.from(rest.log).toString(), state: checkpoint.state, files };
}

const never = (message: string) => expect.unreachable(message);

async function storeWith(count: number): Promise<string> {
  const folder = join(await scratchFolder(), "checkpoints");
  const store = new CheckpointStore(folder, KEY, disk);
  await store.load(never);
  for (let step = 1; step <= count; step++) expect(await store.save(checkpointAt(step))).toBe(step);
  return folder;
}

test("a fresh start has none", async () => {
  const store = new CheckpointStore(join(await scratchFolder(), "none"), KEY, disk);
  expect(await store.load(never)).toBeUndefined();
});

test("gives back what was saved, and keeps the last two", async () => {
  const folder = await storeWith(4);
  expect((await readdir(folder)).sort()).toEqual(["000003", "000004"]);
  const stored = await new CheckpointStore(folder, KEY, disk).load(never);
  expect(await contentsOf(stored)).toMatchObject({
    generation: 4,
    random: Random.fromSeed(4).state,
    log: '{"step":4}\n',
    workedMs: 4000,
    state: { step: 4, rate: 1e-3 / 4, list: [4, -0] },
  });
  const weights = new Float32Array(Uint8Array.from((await stored?.checkpoint.read("weights.bin")) ?? []).buffer);
  expect(weights[50]).toBe(Math.fround(4 + 50 / 7));
  await expect(async () => stored?.checkpoint.read("other")).rejects.toThrow(InternalError);
});

test("numbers go on after a resume", async () => {
  const folder = await storeWith(2);
  const store = new CheckpointStore(folder, KEY, disk);
  await store.load(never);
  expect(await store.save(checkpointAt(3))).toBe(3);
  expect((await readdir(folder)).sort()).toEqual(["000002", "000003"]);
});

test("what a cut save or clean-up left is no checkpoint", async () => {
  const folder = await storeWith(2);
  await cp(join(folder, "000002"), join(folder, ".saving"), { recursive: true });
  await cp(join(folder, "000001"), join(folder, ".discarded"), { recursive: true });
  await rm(join(folder, ".discarded", "manifest.json"));
  expect((await new CheckpointStore(folder, KEY, disk).load(never))?.generation).toBe(2);
  expect((await readdir(folder)).sort()).toEqual(["000001", "000002"]);
});

test("the checkpoints of other settings are not used", async () => {
  const folder = await storeWith(1);
  const messages: string[] = [];
  const store = new CheckpointStore(folder, "another key", disk);
  expect(await store.load((message) => messages.push(message))).toBeUndefined();
  expect(messages).toEqual([expect.stringMatching(/^Checkpoint 1 is damaged .*the stage starts again/)]);
});

test.each(["../escape", "a/b", "manifest.json", "", "log.jsonl", ".hidden"])("%j cannot name a file", async (name) => {
  const store = new CheckpointStore(join(await scratchFolder(), "c"), KEY, disk);
  await store.load(never);
  const content = { state: {}, files: { [name]: Uint8Array.of(1) } };
  await expect(store.save({ ...checkpointAt(1), content })).rejects.toThrow(InternalError);
});

test("state that JSON cannot hold is refused, and the checkpoint before stands", async () => {
  const folder = await storeWith(1);
  const store = new CheckpointStore(folder, KEY, disk);
  await store.load(never);
  const content = { state: { loss: Number.NaN } };
  await expect(store.save({ ...checkpointAt(2), content })).rejects.toThrow("value.state.loss");
  expect((await new CheckpointStore(folder, KEY, disk).load(never))?.generation).toBe(1);
});

describe("damage to the newest", () => {
  let pristine: string;
  let expected: unknown[];
  const random = Random.fromSeed(5);

  beforeAll(async () => {
    pristine = await storeWith(2);
    const newest = await contentsOf(await new CheckpointStore(pristine, KEY, disk).load(never));
    const copy = join(await scratchFolder(), "before");
    await cp(pristine, copy, { recursive: true });
    await rm(join(copy, "000002"), { recursive: true });
    expected = [await contentsOf(await new CheckpointStore(copy, KEY, disk).load(never)), newest];
  });

  async function damaged(damage: (path: string, size: number) => Promise<void>) {
    const folder = join(await scratchFolder(), "checkpoints");
    await cp(pristine, folder, { recursive: true });
    const names = await readdir(join(folder, "000002"));
    const path = join(folder, "000002", names[random.integer(names.length)] ?? "");
    await damage(path, (await readFile(path)).length);
    const messages: string[] = [];
    const store = new CheckpointStore(folder, KEY, disk);
    const found = await contentsOf(await store.load((message) => messages.push(message)));
    return { folder, store, found, messages };
  }

  test("one flipped bit anywhere: the one before is used, with a message, or the bit meant nothing", async () => {
    let fallbacks = 0;
    for (let i = 0; i < 150; i++) {
      const { found, messages } = await damaged(async (path, size) => {
        const bytes = await readFile(path);
        const at = random.integer(size);
        bytes[at] = (bytes[at] ?? 0) ^ (1 << random.integer(8));
        await writeFile(path, bytes);
      });
      expect(found).toEqual(expected[messages.length === 1 ? 0 : 1]);
      fallbacks += messages.length;
    }
    expect(fallbacks).toBeGreaterThan(120);
  });

  test("cut anywhere: the one before is used, with a message, and is not put at risk by the next save", async () => {
    for (let i = 0; i < 50; i++) {
      const { folder, store, found, messages } = await damaged(async (path, size) => {
        // The last byte of a manifest is its line break.
        await truncate(path, random.integer(size - 1));
      });
      expect(messages).toEqual([expect.stringMatching(/^Checkpoint 2 is damaged \(.+\); checkpoint 1 is used\.$/)]);
      expect(found).toEqual(expected[0]);
      await store.save(checkpointAt(3));
      expect((await readdir(folder)).sort()).toEqual(["000001", "000003"]);
    }
  });

  test("a missing file: likewise", async () => {
    const { found, messages } = await damaged((path) => rm(path));
    expect(messages).toEqual([expect.stringContaining("is missing")]);
    expect(found).toEqual(expected[0]);
  });
});
