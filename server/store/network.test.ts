/** Stores on a network file system: read from copies, replaced whole. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import fs, { copyFileSync, existsSync } from "node:fs";
import { chmod, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { FeatureQuery } from "../protocol/features.ts";
import { FeatureStore } from "./store.ts";
import { writeSyntheticStore } from "./synthetic.ts";
import { withWriteLock } from "./write-lock.ts";
import { StoreWriter } from "./writer.ts";

const onNetwork = { onNetwork: true } as const;
const everything = [FeatureQuery.parse({ includeDead: true }), { offset: 0, count: 200 }] as const;

let folder: string;
let made: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-network-"));
  made = join(folder, "made.sqlite");
  writeSyntheticStore(made, { layers: 1, features: 60 });
});
afterAll(() => rm(folder, { recursive: true }));

/** A run's folder with a store in it, filled through the network's way. */
async function run() {
  const own = await mkdtemp(join(folder, "run-"));
  const path = join(own, "features.sqlite");
  using store = FeatureStore.open(path, { ...onNetwork, create: true });
  store.refill({ path: made, key: "first" });
  return { own, path, open: () => FeatureStore.open(path, onNetwork) };
}

/** Bytes 18 and 19 of a database are its versions for writing and reading: 1 with a rollback journal, 2 with a log. */
const versionsOf = async (path: string) => [...(await readFile(path)).subarray(18, 20)];

it("a store is filled and annotated with nothing beside it, and equals the one made on a local disk", async () => {
  const { own, path, open } = await run();
  const local = join(folder, "local.sqlite");
  using plain = FeatureStore.open(local, { create: true });
  plain.refill({ path: made, key: "first" });
  expect(await readdir(own)).toEqual(["features.sqlite"]);
  using store = open();
  for (const one of [store, plain]) {
    one.annotate("L0/F5", { note: "about films", labels: ["film"], pinned: true });
    one.keepAnswer("k", { answer: "{}", inputTokens: 1, outputTokens: 2 });
    one.once("what", "key", () => one.setAttributions([{ id: "L0/F7", score: 2 }]));
  }
  expect(await readdir(own)).toEqual(["features.sqlite"]);
  expect(await versionsOf(path)).toEqual([1, 1]);
  expect(await versionsOf(local)).toEqual([2, 2]);
  using again = open();
  for (const one of [store, again]) {
    expect(one.query(...everything)).toEqual(plain.query(...everything));
    expect(one.need("L0/F5")).toEqual(plain.need("L0/F5"));
    expect(one.answer("k")).toEqual(plain.answer("k"));
  }
});

it("what a stage writes is in place once it is finished, with the bytes of a local one", async () => {
  const own = await mkdtemp(join(folder, "stage-"));
  const path = join(own, "features.sqlite");
  const writers = [new StoreWriter(path, onNetwork), new StoreWriter(join(folder, "stage.sqlite"))];
  for (const writer of writers) {
    writer.meta("task", "films");
    writer.commit();
  }
  expect(await readdir(own)).toEqual([]);
  for (const writer of writers) writer.finish();
  expect(await readdir(own)).toEqual(["features.sqlite"]);
  expect((await readFile(path)).equals(await readFile(join(folder, "stage.sqlite")))).toBe(true);
});

it("one that is given up leaves nothing, neither there nor in the folder for temporary files", async () => {
  const own = await mkdtemp(join(folder, "stage-"));
  const writer = new StoreWriter(join(own, "features.sqlite"), onNetwork);
  expect(existsSync(writer.path)).toBe(true);
  writer.abandon();
  expect(existsSync(join(writer.path, ".."))).toBe(false);
  expect(await readdir(own)).toEqual([]);
});

it("a process that ends with a store open leaves no copy of it", async () => {
  const { path } = await run();
  const temporary = await mkdtemp(join(folder, "tmp-"));
  const script = `
    const { readdirSync } = await import("node:fs");
    const { FeatureStore } = await import(${JSON.stringify(join(import.meta.dirname, "store.ts"))});
    FeatureStore.open(${JSON.stringify(path)}, { onNetwork: true });
    console.log(readdirSync(${JSON.stringify(temporary)}).length);
    process.exit();`;
  const env = { ...process.env, TMPDIR: temporary };
  const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { env, encoding: "utf8" });
  expect(stdout).toBe("1\n");
  expect(await readdir(temporary)).toEqual([]);
});

it("two that have it open lose none of each other's notes, and read on meanwhile", async () => {
  const { open } = await run();
  using first = open();
  using second = open();
  first.annotate("L0/F5", { note: "first" });
  second.annotate("L0/F6", { note: "second" });
  first.annotate("L0/F7", { note: "third" });
  using later = open();
  expect(["L0/F5", "L0/F6", "L0/F7"].map((id) => later.need(id).note)).toEqual(["first", "second", "third"]);
  expect(second.need("L0/F5").note).toBe("first");
  expect(second.need("L0/F7").note).toBe("");
  second.refresh();
  expect(second.need("L0/F7").note).toBe("third");
});

it("a file and folder that can only be read are read, by two at once", async () => {
  const { own, path } = await run();
  const bytes = await readFile(path);
  await chmod(path, 0o400);
  await chmod(own, 0o500);
  onTestFinished(() => chmod(own, 0o700));
  using first = FeatureStore.open(path, { ...onNetwork, writable: false });
  using second = FeatureStore.open(path, { ...onNetwork, writable: false });
  expect(first.query(...everything)).toEqual(second.query(...everything));
  expect(first.features).toBe(60);
  expect(() => first.annotate("L0/F5", { note: "x" })).toThrow(/can only be read/);
  expect(await readdir(own)).toEqual(["features.sqlite"]);
  expect((await readFile(path)).equals(bytes)).toBe(true);
});

it("a store with rows in the log of an earlier version is taken over with them, and is without a log then", async () => {
  const own = await mkdtemp(join(folder, "run-"));
  const path = join(own, "features.sqlite");
  const there = join(folder, "logged.sqlite");
  using writer = FeatureStore.open(there, { create: true });
  writer.refill({ path: made, key: "first" });
  writer.annotate("L0/F5", { note: "in the log" });
  for (const suffix of ["", "-wal", "-shm"]) copyFileSync(there + suffix, path + suffix);
  using store = FeatureStore.open(path, onNetwork);
  expect(store.need("L0/F5").note).toBe("in the log");
  store.annotate("L0/F6", { note: "since" });
  expect(await readdir(own)).toEqual(["features.sqlite"]);
  using again = FeatureStore.open(path, onNetwork);
  expect([again.need("L0/F5").note, again.need("L0/F6").note]).toEqual(["in the log", "since"]);
});

it("a log that a crash left beside a newer store is not mixed into it", async () => {
  const { path, open } = await run();
  const there = join(folder, "older.sqlite");
  using writer = FeatureStore.open(there, { create: true });
  writer.refill({ path: made, key: "first" });
  writer.annotate("L0/F5", { note: "older" });
  copyFileSync(`${there}-wal`, `${path}-wal`);
  using store = open();
  expect(store.need("L0/F5").note).toBe("");
  using fixed = FeatureStore.open(path, { ...onNetwork, writable: false });
  expect(fixed.need("L0/F5").note).toBe("");
});

it("a process killed between the building and the move leaves the old store, and its lock holds nobody up", async () => {
  const { own, path, open } = await run();
  const bytes = await readFile(path);
  const script = `
    import fs from "node:fs";
    import { syncBuiltinESMExports } from "node:module";
    fs.renameSync = () => process.kill(process.pid, "SIGKILL");
    syncBuiltinESMExports();
    const { FeatureStore } = await import(${JSON.stringify(join(import.meta.dirname, "store.ts"))});
    FeatureStore.open(${JSON.stringify(path)}, { onNetwork: true }).annotate("L0/F5", { note: "lost" });`;
  const env = { ...process.env, TMPDIR: own };
  const { signal, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    env,
    encoding: "utf8",
  });
  expect({ signal, stderr }).toEqual({ signal: "SIGKILL", stderr: "" });
  expect((await readFile(path)).equals(bytes)).toBe(true);
  expect(await readdir(own)).toEqual(expect.arrayContaining([".features.sqlite.new", "features.sqlite.lock"]));
  using store = open();
  expect(store.need("L0/F5").note).toBe("");
  store.annotate("L0/F5", { note: "kept" });
  const left = (await readdir(own)).filter((name) => !name.startsWith("lfp-store-"));
  expect(left).toEqual(["features.sqlite"]);
});

it("a store that cannot be moved is said, and what was not kept does not show, then or later", async () => {
  const { own, path, open } = await run();
  const bytes = await readFile(path);
  using store = open();
  const { renameSync, mkdtempSync } = fs;
  const restore = () => {
    Object.assign(fs, { renameSync, mkdtempSync });
    syncBuiltinESMExports();
  };
  onTestFinished(restore);
  fs.renameSync = () => {
    throw new Error("EDQUOT: quota exceeded");
  };
  syncBuiltinESMExports();
  expect(() => store.annotate("L0/F5", { note: "lost" })).toThrow(`${path} could not be replaced`);
  restore();
  expect(store.need("L0/F5").note).toBe("");
  // Where the old store cannot be copied at once either, it is before the next write.
  fs.renameSync = () => {
    fs.mkdtempSync = () => {
      throw new Error("ENOSPC: no space");
    };
    syncBuiltinESMExports();
    throw new Error("EDQUOT: quota exceeded");
  };
  syncBuiltinESMExports();
  expect(() => store.annotate("L0/F5", { note: "lost" })).toThrow(/could not be replaced.*EDQUOT/);
  restore();
  expect((await readFile(path)).equals(bytes)).toBe(true);
  expect(await readdir(own)).toEqual(["features.sqlite"]);
  store.annotate("L0/F6", { note: "kept" });
  using again = open();
  expect([again.need("L0/F5").note, again.need("L0/F6").note]).toEqual(["", "kept"]);
});

it("writes within one another replace the store once, and where the outer one throws none of them shows", async () => {
  const { path, open } = await run();
  const inode = async () => (await stat(path)).ino;
  using store = open();
  using other = open();
  const note = (id: string) => store.annotate(id, { note: id });
  const first = await inode();
  let between: number | undefined;
  store.together(() => {
    note("L0/F5");
    between = fs.statSync(path).ino;
    expect(() => note("L9/F5")).toThrow("L9/F5");
    note("L0/F6");
  });
  expect(between).toBe(first);
  const second = await inode();
  expect(second).not.toBe(first);
  const bytes = await readFile(path);
  const failing = () =>
    store.together(() => {
      note("L0/F7");
      store.together(() => note("L0/F8"));
      throw new Error("in the middle");
    });
  expect(failing).toThrow("in the middle");
  expect((await readFile(path)).equals(bytes)).toBe(true);
  // And each write is on its own again.
  other.annotate("L0/F9", { note: "by another" });
  note("L0/F10");
  using again = open();
  for (const one of [store, again])
    expect(["L0/F5", "L0/F6", "L0/F7", "L0/F8", "L0/F9", "L0/F10"].map((id) => one.need(id).note)).toEqual([
      "L0/F5",
      "L0/F6",
      "",
      "",
      "by another",
      "L0/F10",
    ]);
});

it("one that was removed is not made anew by whoever has it open", async () => {
  const { own, path, open } = await run();
  using store = open();
  await rm(path);
  const gone = `${path} does not exist`;
  expect(() => store.keepAnswer("k", { answer: "{}", inputTokens: 1, outputTokens: 2 })).toThrow(gone);
  expect(() => store.refresh()).toThrow(gone);
  expect(await readdir(own)).toEqual([]);
});

it("keeps the store's permissions", async () => {
  const { path, open } = await run();
  await chmod(path, 0o640);
  using store = open();
  store.annotate("L0/F5", { note: "x" });
  expect((await stat(path)).mode & 0o777).toBe(0o640);
});

it("a lock of another machine is waited for, and taken over once it is five minutes old", async () => {
  const path = join(folder, "locked.sqlite");
  const lock = `${path}.lock`;
  await writeFile(lock, JSON.stringify({ host: `not-${hostname()}`, pid: process.pid }));
  const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000);
  await utimes(lock, minutesAgo(4), minutesAgo(4));
  expect(() => withWriteLock(path, () => "done", 30)).toThrow(`process ${process.pid} on not-${hostname()} is writing`);
  await utimes(lock, minutesAgo(6), minutesAgo(6));
  expect(withWriteLock(path, () => "done", 30)).toBe("done");
  expect((await readdir(folder)).filter((name) => name.startsWith("locked"))).toEqual([]);
});

it("a lock of a living process of this machine is waited for, however old", async () => {
  const path = join(folder, "held.sqlite");
  const long = new Date(Date.now() - 3_600_000);
  withWriteLock(path, () => {
    fs.utimesSync(`${path}.lock`, long, long);
    expect(() => withWriteLock(path, () => "done", 30)).toThrow(`process ${process.pid} on ${hostname()} is writing`);
  });
  expect(withWriteLock(path, () => "done", 30)).toBe("done");
});

it.each(["with", "without"])(
  "a dead lock that another process takes over meanwhile is left to that one, %s hard links",
  async (links) => {
    const { linkSync, readSync } = fs;
    const restore = () => {
      Object.assign(fs, { linkSync, readSync });
      syncBuiltinESMExports();
    };
    onTestFinished(restore);
    const path = join(folder, `raced-${links}.sqlite`);
    const lock = `${path}.lock`;
    const { pid: gone } = spawnSync(process.execPath, ["-e", ""]);
    await writeFile(lock, JSON.stringify({ host: hostname(), pid: gone }));
    const taken = JSON.stringify({ host: hostname(), pid: process.ppid });
    // As soon as the dead holder has been read, another process has removed its lock and taken its own.
    fs.readSync = ((...args: Parameters<typeof readSync>) => {
      const count = readSync(...args);
      if (!existsSync(`${lock}.raced`)) {
        fs.writeFileSync(`${lock}.raced`, "");
        fs.rmSync(lock);
        fs.writeFileSync(lock, taken);
      }
      return count;
    }) as typeof readSync;
    if (links === "without")
      fs.linkSync = () => {
        throw Object.assign(new Error("EPERM: no links here"), { code: "EPERM" });
      };
    syncBuiltinESMExports();
    expect(() => withWriteLock(path, () => "done", 30)).toThrow(`process ${process.ppid} on ${hostname()} is writing`);
    expect(await readFile(lock, "utf8")).toBe(taken);
  },
);

it.each(["with", "without"])(
  "of processes that take over a dead lock at once, one at a time writes, %s hard links",
  async (links) => {
    const path = join(folder, `crowd-${links}.sqlite`);
    const { pid: gone } = spawnSync(process.execPath, ["-e", ""]);
    const script = `
    import fs from "node:fs";
    import { syncBuiltinESMExports } from "node:module";
    if (${links === "without"}) fs.linkSync = () => { throw Object.assign(new Error("EPERM"), { code: "EPERM" }); };
    syncBuiltinESMExports();
    const { withWriteLock } = await import(${JSON.stringify(join(import.meta.dirname, "write-lock.ts"))});
    const path = ${JSON.stringify(path)};
    for (let turn = 0; turn < 12; turn++) {
      // The lock of somebody who died, put there anew where nobody holds it.
      try { fs.writeFileSync(path + ".lock", JSON.stringify({ host: ${JSON.stringify(hostname())}, pid: ${gone} }), { flag: "wx" }); } catch {}
      withWriteLock(path, () => {
        fs.writeFileSync(path + ".inside", "", { flag: "wx" });
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
        fs.rmSync(path + ".inside");
      }, 60_000);
    }`;
    const crowd = Array.from({ length: 4 }, () => {
      const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
        stdio: ["ignore", "ignore", "pipe"],
      });
      return Promise.all([once(child, "exit"), text(child.stderr)]);
    });
    for (const [[code], stderr] of await Promise.all(crowd)) expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect((await readdir(folder)).filter((name) => name.startsWith(`crowd-${links}`))).toEqual([]);
  },
);
