import { execFileSync } from "node:child_process";
import { copyFile, readFile, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { beforeAll, describe, expect, it, test } from "vitest";
import { z } from "zod";
import { LfpError } from "../../../server/common/errors.ts";
import { Random } from "../../../server/common/random.ts";
import { DatabaseError } from "../../../server/common/system-errors.ts";
import { FeatureQuery } from "../../../server/protocol/features.ts";
import { allRows, Statements } from "../../../server/store/rows.ts";
import { FeatureStore } from "../../../server/store/store.ts";
import { writeSyntheticStore } from "../../../server/store/synthetic.ts";
import { scratchFolder } from "../runs/scratch.ts";

let whole: string;
beforeAll(async () => {
  const folder = await scratchFolder();
  const made = join(folder, "made.sqlite");
  writeSyntheticStore(made, { layers: 2, features: 60 });
  whole = join(folder, "features.sqlite");
  using store = FeatureStore.open(whole, { create: true });
  store.refill({ path: made, key: "k" });
  const explanation = { explainer: "offline", text: "films", terms: ["film"], scores: [], relevance: null };
  store.addExplanations([{ id: "L0/F59", explanation }], false);
  store.annotate("L0/F58", { note: "a note", labels: ["a"], pinned: true });
});

async function copy(): Promise<string> {
  const path = join(await scratchFolder(), "features.sqlite");
  await copyFile(whole, path);
  return path;
}

/** A store that somebody wrote into by hand. */
async function changed(sql: string): Promise<string> {
  const path = await copy();
  const db = new DatabaseSync(path);
  db.exec(sql);
  db.close();
  return path;
}

/** Reads as pages and commands do; throws what they would. */
function readAll(path: string) {
  using store = FeatureStore.open(path);
  const page = store.query(FeatureQuery.parse({}), { offset: 0, count: 50 });
  store.describe();
  store.windows(20);
  store.laterAblations();
  const details = page.rows.map(({ id }) => store.detail(id));
  store.query(FeatureQuery.parse({ search: "a" }), { offset: 0, count: 20 });
  return { page, details, damagedRows: store.damagedRows };
}

describe("a damaged store", () => {
  it("costs the rows that are damaged, and says how many", async () => {
    const sound = readAll(whole);
    expect(sound).toMatchObject({ page: { total: 118 }, damagedRows: 0 });
    const cases: readonly (readonly [string, string])[] = [
      ["a histogram of odd length", "UPDATE details SET histogram = x'010203' WHERE feature = 59"],
      ["promotes that are no JSON", "UPDATE details SET promotes = '{' WHERE feature = 59"],
      [
        "promotes nested deep",
        `UPDATE details SET promotes = '${"[".repeat(5000)}${"]".repeat(5000)}' WHERE feature = 59`,
      ],
      ["a density that is text", "UPDATE features SET density = 'x' WHERE id = 59"],
      ["a density beyond numbers", "UPDATE features SET density = 9e999 WHERE id = 59"],
      ["a layer that is text", "UPDATE features SET layer = 'x' WHERE id = 59"],
      ["activations of odd length", "UPDATE examples SET activations = x'01' WHERE feature = 59"],
      ["a split of no name", "UPDATE examples SET split = 'this' WHERE feature = 59"],
      ["ends of odd length", "UPDATE windows SET ends = x'01'"],
      ["an explanation whose detail is no JSON", "UPDATE explanations SET detail = 'x'"],
      ["an explanation whose detail is another", "UPDATE explanations SET detail = '[]'"],
      ["a label that is none", "UPDATE labels SET label = x'00'"],
    ];
    for (const [name, sql] of cases) {
      const found = readAll(await changed(sql));
      expect(found.damagedRows, name).toBeGreaterThan(0);
      expect(found.page.rows.length, name).toBeGreaterThanOrEqual(sound.page.rows.length - 1);
    }
  });

  it("is refused where a table is missing, or is something else", async () => {
    const view =
      "DROP TABLE features; CREATE VIEW features AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT * FROM n";
    for (const sql of [
      "DROP TABLE features",
      view,
      "CREATE TRIGGER t AFTER INSERT ON labels BEGIN DELETE FROM notes; END",
      "CREATE TABLE mine (x)",
    ]) {
      const path = await changed(sql);
      expect(() => FeatureStore.open(path), sql).toThrow(
        /is damaged: it (holds|lacks) "(features|t|mine|features_by_\w+)"/,
      );
      expect(() => FeatureStore.openOutput(path), sql).toThrow(LfpError);
    }
  });

  it("that is empty, a pipe, a loop of links or a folder is refused", async () => {
    const folder = await scratchFolder();
    const [empty, pipe, loop] = ["empty", "pipe", "loop"].map((name) => join(folder, `${name}.sqlite`));
    await writeFile(empty ?? "", "");
    execFileSync("mkfifo", [pipe ?? ""]);
    await symlink("loop.sqlite", loop ?? "");
    expect(() => FeatureStore.openOutput(empty ?? "")).toThrow(/holds no features/);
    for (const path of [pipe, loop, folder]) {
      const opened = expect(() => FeatureStore.open(path ?? ""));
      opened.toThrow(expect.objectContaining({ code: "input" }));
    }
  });

  it("does not read a value that would fill the memory", async () => {
    const path = await changed("UPDATE details SET histogram = zeroblob(200000000) WHERE feature = 59");
    const before = process.memoryUsage().rss;
    expect(() => readAll(path)).toThrow(/string or blob too big/);
    expect(process.memoryUsage().rss - before).toBeLessThan(400e6);
  });

  it("whose bits are flipped, or that was cut, gives what it can or an error of ours", async () => {
    const bytes = await readFile(whole);
    const random = Random.fromSeed(7);
    const path = await copy();
    let refused = 0;
    for (let round = 0; round < 200; round++) {
      const flipped = Uint8Array.from(bytes);
      for (let flip = 0; flip < 8; flip++) {
        const at = random.integer(flipped.length);
        flipped[at] = (flipped[at] ?? 0) ^ (1 << random.integer(8));
      }
      await writeFile(path, flipped);
      try {
        readAll(path);
      } catch (error) {
        refused += 1;
        expect(error, String(error)).toBeInstanceOf(LfpError);
      }
    }
    await writeFile(path, bytes);
    await truncate(path, bytes.length / 2);
    expect(() => readAll(path)).toThrow(LfpError);
    expect(refused).toBeGreaterThan(0);
  }, 120_000);
});

test("what SQLite says of disks and other processes has their code", () => {
  const failure = (errcode: number) => Object.assign(new Error("x"), { code: "ERR_SQLITE_ERROR", errcode });
  const codes = [13, 10, 8, 14, 5, 6, 7, 11, 26, 1].map((errcode) => new DatabaseError("it", failure(errcode)).code);
  expect(codes).toEqual([...Array(4).fill("resource"), "locked", "locked", "resource", "input", "input", "input"]);
});

test("a store that another process holds is called locked, by its path", async () => {
  const path = await copy();
  const other = new DatabaseSync(path);
  other.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
  const mine = new DatabaseSync(path, { timeout: 0 });
  const statements = new Statements(mine, path);
  const locked = expect.objectContaining({ code: "locked", message: expect.stringContaining(path) });
  expect(() => allRows(statements.get("SELECT id AS n FROM features"), z.object({ n: z.int() }))).toThrow(locked);
  other.close();
  expect(allRows(statements.get("SELECT id AS n FROM features"), z.object({ n: z.int() })).length).toBeGreaterThan(0);
  mine.close();
});
