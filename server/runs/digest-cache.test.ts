import { createHash, randomBytes } from "node:crypto";
import { appendFileSync } from "node:fs";
import { appendFile, mkdir, open, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, test, vi } from "vitest";
import { scratchFolder } from "../../test/unit/runs/scratch.ts";
import { cachedChecksumOf } from "./digest-cache.ts";

const read = vi.hoisted(() => vi.fn<(path: string) => void>());
vi.mock("./files.ts", async (actual) => {
  const files = await actual<typeof import("./files.ts")>();
  return {
    ...files,
    checksumOf: (path: string) => {
      read(path);
      return files.checksumOf(path);
    },
  };
});

let root = "";
let path = "";
/** Long after everything that these tests write. */
const later = () => Date.now() + 60_000;
const sha256 = async (file: string) =>
  createHash("sha256")
    .update(await readFile(file))
    .digest("hex");

beforeEach(async () => {
  root = await scratchFolder();
  path = join(root, "model.safetensors");
  await writeFile(path, randomBytes(2 ** 20));
  read.mockClear();
});

async function checksum(now = later): Promise<string> {
  return (await cachedChecksumOf(path, { stateFolder: join(root, "state"), now })).sha256;
}

async function entry(): Promise<string> {
  const folder = join(root, "state", "digests");
  const [name = ""] = await readdir(folder);
  return join(folder, name);
}

test("a large file is read once, and a small one each time", async () => {
  const { size } = await cachedChecksumOf(path, { stateFolder: join(root, "state"), now: later });
  expect(size).toBe(2 ** 20);
  for (let i = 0; i < 3; i++) expect(await checksum()).toBe(await sha256(path));
  expect(read).toHaveBeenCalledTimes(1);
  await writeFile(path, randomBytes(2 ** 20 - 1));
  read.mockClear();
  for (let i = 0; i < 3; i++) expect(await checksum()).toBe(await sha256(path));
  expect(read).toHaveBeenCalledTimes(3);
});

test.each<[string, () => Promise<void>]>([
  ["grows", () => appendFile(path, "x")],
  ["is overwritten in place with as many bytes and its old times", overwriteInPlace],
  ["is replaced by another of its size and times", replace],
])("a file that %s is read again", async (_, change) => {
  await checksum();
  await change();
  expect(await checksum()).toBe(await sha256(path));
  expect(read).toHaveBeenCalledTimes(2);
});

async function overwriteInPlace(): Promise<void> {
  const { atime, mtime } = await stat(path);
  await using handle = await open(path, "r+");
  await handle.write(randomBytes(64), 0, 64, 0);
  await utimes(path, atime, mtime);
}

async function replace(): Promise<void> {
  const { atime, mtime } = await stat(path);
  await writeFile(join(root, "other"), randomBytes(2 ** 20));
  await utimes(join(root, "other"), atime, mtime);
  await rename(join(root, "other"), path);
}

test("a file that was changed a moment before it was read is not remembered", async () => {
  await checksum(Date.now);
  await checksum(Date.now);
  expect(read).toHaveBeenCalledTimes(2);
});

test("a file that changes while it is read is not remembered", async () => {
  read.mockImplementationOnce((file) => appendFileSync(file, "x"));
  await checksum();
  expect(await checksum()).toBe(await sha256(path));
  expect(read).toHaveBeenCalledTimes(2);
});

test("whatever an entry is damaged by, the digest is the file's", async () => {
  await checksum();
  const at = await entry();
  const sound = await readFile(at, "utf8");
  const expected = await sha256(path);
  for (let i = 0; i < sound.length; i++) {
    const damaged = Buffer.from(sound);
    damaged[i] = (damaged[i] ?? 0) ^ (1 << (i % 7));
    await writeFile(at, damaged);
    expect(await checksum()).toBe(expected);
  }
  for (const text of ["", "{", "[".repeat(100_000), sound.slice(0, 80)]) {
    await writeFile(at, text);
    expect(await checksum()).toBe(expected);
  }
  await rm(at);
  await mkdir(at);
  expect(await checksum()).toBe(expected);
});

test("many who ask at once agree, and the cache keeps its bound", async () => {
  const folder = join(root, "state", "digests");
  await mkdir(folder, { recursive: true });
  for (let i = 0; i < 600; i++) {
    await writeFile(join(folder, `${i}.json`), "{}");
    await utimes(join(folder, `${i}.json`), 1, 1);
  }
  const all = await Promise.all(Array.from({ length: 8 }, () => checksum()));
  expect(new Set(all)).toEqual(new Set([await sha256(path)]));
  expect(await readdir(folder)).toHaveLength(512);
  read.mockClear();
  await checksum();
  expect(read).not.toHaveBeenCalled();
});

test("what others are writing does not count as entries, and what they left behind is removed", async () => {
  const folder = join(root, "state", "digests");
  await mkdir(folder, { recursive: true });
  for (let i = 0; i < 511; i++) await writeFile(join(folder, `${i}.json`), "{}");
  for (let i = 0; i < 5; i++) await writeFile(join(folder, `.${i}.json.1-${i}.tmp`), "{}");
  await utimes(join(folder, ".0.json.1-0.tmp"), 1, 1);
  await checksum();
  const names = await readdir(folder);
  expect(names.filter((name) => name.endsWith(".json"))).toHaveLength(512);
  expect(names.filter((name) => name.endsWith(".tmp"))).toHaveLength(4);
});

test("a state folder that cannot be written costs only time; a file that is missing is an error", async () => {
  await writeFile(join(root, "state"), "a file");
  expect(await checksum()).toBe(await sha256(path));
  await rm(path);
  await expect(checksum()).rejects.toThrow("ENOENT");
});
