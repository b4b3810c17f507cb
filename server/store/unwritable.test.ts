/** Stores where nothing can be written, and disks that are full in the middle of a write. */
import { copyFileSync, existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DatabaseError } from "../common/system-errors.ts";
import { FeatureQuery } from "../protocol/features.ts";
import { ReadOnlyStoreError, storeFailure } from "./errors.ts";
import { inTransaction, openDatabase } from "./open.ts";
import { migrations } from "./schema.ts";
import { FeatureStore } from "./store.ts";
import { writeSyntheticStore } from "./synthetic.ts";
import { StoreWriter } from "./writer.ts";

let folder: string;
let live: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-unwritable-"));
  live = join(folder, "features.sqlite");
  const made = join(folder, "made.sqlite");
  writeSyntheticStore(made, { layers: 1, features: 60 });
  using store = FeatureStore.open(live, { create: true });
  store.refill({ path: made, key: "first" });
});
afterAll(() => rm(folder, { recursive: true }));

const everything = [FeatureQuery.parse({ includeDead: true }), { offset: 0, count: 200 }] as const;

/** A copy alone in a folder, and what that folder holds after the store was read. */
async function unwritable(prepare: (path: string) => void = () => undefined) {
  const own = await mkdtemp(join(folder, "own-"));
  const path = join(own, "features.sqlite");
  copyFileSync(live, path);
  prepare(path);
  return { own, path, before: await readdir(own), open: () => FeatureStore.open(path, { writable: false }) };
}

describe("a store where nothing can be written", () => {
  it("is read as any other, and not touched", async () => {
    const { own, path, before, open } = await unwritable();
    const bytes = await readFile(path);
    {
      using store = open();
      using plain = FeatureStore.open(live);
      expect(store.query(...everything)).toEqual(plain.query(...everything));
      expect(store.need("L0/F5")).toEqual(plain.need("L0/F5"));
    }
    expect(await readdir(own)).toEqual(before);
    expect((await readFile(path)).equals(bytes)).toBe(true);
  });

  it("refuses what would be kept, before it is paid for", async () => {
    using store = (await unwritable()).open();
    const kept = { answer: "{}", inputTokens: 1, outputTokens: 1 };
    for (const write of [
      () => store.annotate("L0/F5", { note: "x" }),
      () => store.keepAnswer("k", kept),
      () => store.once("what", "key", () => undefined),
      () => store.requireWritable(),
    ])
      expect(write).toThrow(ReadOnlyStoreError);
    expect(() => store.requireWritable()).toThrow(/folder is read-only.*use the copy/);
    expect(store.need("L0/F5").note).toBe("");
  });

  it("is not copied where the copy would be larger than stores are", async () => {
    const { path, open } = await unwritable();
    // Takes no room on the disk: it is a hole.
    await writeFile(`${path}-wal`, "");
    await truncate(`${path}-wal`, 2 ** 31);
    const before = await readdir(tmpdir());
    expect(open).toThrow(expect.objectContaining({ code: "resource", message: expect.stringContaining(path) }));
    const stores = (names: string[]) => names.filter((name) => name.startsWith("lfp-store-"));
    expect(stores(await readdir(tmpdir()))).toEqual(stores(before));
    await rm(`${path}-wal`);
  });

  it("has its newest rows, which are in SQLite's log still", async () => {
    const { path, open } = await unwritable();
    const writer = FeatureStore.open(path);
    writer.annotate("L0/F5", { note: "in the log" });
    copyFileSync(`${path}-wal`, join(folder, "log"));
    writer.close();
    copyFileSync(live, path);
    copyFileSync(join(folder, "log"), `${path}-wal`);
    using store = open();
    expect(store.need("L0/F5").note).toBe("in the log");
    expect(() => store.annotate("L0/F5", { note: "x" })).toThrow(`${path} can only be read`);
    expect(existsSync(`${path}-wal`)).toBe(true);
  });

  it("of an earlier version is brought up to date in a copy", async () => {
    const { path, open } = await unwritable((at) => {
      const db = new DatabaseSync(at);
      db.exec(
        "DROP TABLE answers; ALTER TABLE features DROP COLUMN attribution; PRAGMA user_version = 1; PRAGMA journal_mode = DELETE",
      );
      db.close();
    });
    using store = open();
    expect(migrations.length).toBeGreaterThan(1);
    expect(store.answer("k")).toBeUndefined();
    expect(store.features).toBe(60);
    const db = new DatabaseSync(path, { readOnly: true });
    expect(db.prepare("PRAGMA user_version").get()).toEqual({ user_version: 1 });
    db.close();
  });

  it("that is none is called that", async () => {
    const path = join(folder, "text.sqlite");
    await writeFile(path, "no database at all, but long enough to have a header ".repeat(50));
    expect(() => FeatureStore.open(path, { writable: false })).toThrow(/cannot be opened as a feature store/);
    expect(() => FeatureStore.open(path, { writable: false })).toThrow(DatabaseError);
  });
});

describe("a full disk", () => {
  const caught = (work: () => unknown): unknown => {
    try {
      return work();
    } catch (error) {
      return error;
    }
  };

  it("in the middle of a transaction is said, and nothing else: SQLite has rolled back by itself", async () => {
    const { path } = await unwritable();
    const db = openDatabase(path, { journal: "wal" });
    const pages = db.prepare("PRAGMA page_count").get()?.["page_count"];
    db.exec(`PRAGMA max_page_count = ${Number(pages)}`);
    const error = caught(() =>
      inTransaction(db, () => db.prepare("INSERT INTO meta VALUES ('big', ?)").run("x".repeat(10_000_000))),
    );
    expect(error).toMatchObject({ code: "resource" });
    expect(String(error)).toContain(
      `${path} could not be written: database or disk is full. The disk or quota is full`,
    );
    expect(db.isTransaction).toBe(false);
    db.close();
  });

  it("while a store is filled anew is said with its path, and the old rows stay", async () => {
    const { path } = await unwritable();
    const made = join(folder, "larger.sqlite");
    writeSyntheticStore(made, { layers: 1, features: 900 });
    const db = openDatabase(path, { journal: "wal" });
    const pages = Number(db.prepare("PRAGMA page_count").get()?.["page_count"]);
    db.close();
    const { prototype } = DatabaseSync;
    const exec = prototype.exec;
    // The bound is a connection's own.
    prototype.exec = function (sql) {
      return exec.call(this, sql.startsWith("BEGIN IMM") ? `PRAGMA max_page_count = ${pages + 2}; ${sql}` : sql);
    };
    const store = FeatureStore.open(path);
    const error = caught(() => store.refill({ path: made, key: "larger" }));
    prototype.exec = exec;
    expect(error).toMatchObject({ code: "resource" });
    expect(String(error)).toContain(`${path} could not be written: database or disk is full`);
    expect(store.features).toBe(60);
    store.close();
    using again = FeatureStore.open(path);
    expect(again.refill({ path: made, key: "larger" })).toBe(true);
  });

  it("while a stage writes its store is said with its path", async () => {
    const path = join(folder, "stage.sqlite");
    const { prototype } = DatabaseSync;
    const exec = prototype.exec;
    prototype.exec = function (sql) {
      return exec.call(this, sql === "BEGIN" ? `PRAGMA max_page_count = 40; ${sql}` : sql);
    };
    const writer = new StoreWriter(path);
    prototype.exec = exec;
    const error = caught(() => {
      for (let at = 0; at < 1000; at++) writer.meta(`key ${at}`, "x".repeat(2000));
      writer.commit();
    });
    expect(error).toMatchObject({ code: "resource" });
    expect(String(error)).toContain(
      `${path} could not be written: database or disk is full. The disk or quota is full`,
    );
    writer.abandon();
  });

  it.each([
    [5, "locked"],
    [10, "resource"],
    [522, "resource"],
    [13, "resource"],
    [14, "resource"],
    [11, "input"],
    [26, "input"],
  ])("and SQLite's other refusals (%i) have codes of ours", (errcode, code) => {
    const error = Object.assign(new Error("what SQLite says"), { code: "ERR_SQLITE_ERROR", errcode });
    expect(storeFailure("/x", "could not be read", error)).toMatchObject({ code });
    expect(String(storeFailure("/x", "could not be read", error))).toContain("/x could not be read: what SQLite says.");
    const other = new TypeError("no error of SQLite");
    expect(storeFailure("/x", "could not be read", other)).toBe(other);
  });
});
