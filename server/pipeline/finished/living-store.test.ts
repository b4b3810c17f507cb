import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, expect, it } from "vitest";
import { starterRunFolder } from "../../common/package-root.ts";
import { FeatureQuery } from "../../protocol/features.ts";
import { FeatureStore } from "../../store/store.ts";
import { earlierStores, livingStore } from "./living-store.ts";

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

async function scratch(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "lfp-living-"));
  folders.push(folder);
  return folder;
}

it("is the run's own file for a run of one's own, whether or not it is there", async () => {
  const folder = await scratch();
  expect(await livingStore(folder)).toBe(join(folder, "features.sqlite"));
});

it("is a copy in the state folder for the run that comes with the program, which stays as it is and keeps what people write", async () => {
  const shipped = join(starterRunFolder(), "features.sqlite");
  const before = await readFile(shipped);
  const env = { LFP_STATE_DIR: await scratch() };
  const path = await livingStore(starterRunFolder(), env);
  expect(path.startsWith(env.LFP_STATE_DIR)).toBe(true);
  {
    using store = FeatureStore.open(path);
    const [row] = store.query(FeatureQuery.parse({ relevant: true }), { offset: 0, count: 1 }).rows;
    expect(row?.explanation?.explainer).toBe("offline");
    store.annotate(row?.id ?? "", { note: "mine", pinned: true });
  }
  expect(await livingStore(starterRunFolder(), env)).toBe(path);
  using again = FeatureStore.open(path);
  expect(again.query(FeatureQuery.parse({ pinned: true }), { offset: 0, count: 5 })).toMatchObject({
    total: 1,
    rows: [{ hasNote: true }],
  });
  expect((await readFile(shipped)).equals(before)).toBe(true);
});

const effect = { what: "this", factor: 0, prompts: 64, change: -0.5, low: -0.7, high: -0.3 } as const;

/** What people left on the copy of an older starter run: on L1/F5, whose dictionary may be another by now, and on L2/F6. */
function annotated(path: string): void {
  using store = FeatureStore.open(path);
  for (const id of ["L1/F5", "L2/F6"]) {
    store.annotate(id, { note: `zanzibar ${id}`, labels: ["praise"], pinned: true });
    const explanation = { explainer: "gpt-4", text: `paid ${id}`, terms: [], scores: [], relevance: null };
    store.addExplanations([{ id, explanation }], false);
    store.addAblations(
      [{ key: `${id} key`, result: { features: [{ id, factor: 0 }] }, effects: [{ id, ...effect }] }],
      false,
    );
  }
  store.keepAnswer("asked", { answer: "{}", inputTokens: 3, outputTokens: 1 });
}

/** An older version's copy in the state folder: the shipped store, with layer 1's dictionary of another training. */
async function olderCopy(state: string, version: string): Promise<string> {
  const path = join(state, "starter-run", version, "features.sqlite");
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, await readFile(join(starterRunFolder(), "features.sqlite")));
  const db = new DatabaseSync(path);
  db.exec("UPDATE meta SET value = 'another' WHERE key = 'digest:4'");
  db.close();
  annotated(path);
  return path;
}

it("takes over what people left on another version's copy about the same features, and says where the rest is", async () => {
  const env = { LFP_STATE_DIR: await scratch() };
  const older = await olderCopy(env.LFP_STATE_DIR, "0123456789abcdef");
  const path = await livingStore(starterRunFolder(), env);
  {
    using store = FeatureStore.open(path);
    expect(store.need("L2/F6")).toMatchObject({
      note: "zanzibar L2/F6",
      row: { labels: ["praise"], pinned: true, explanation: { text: "paid L2/F6" }, ablation: { change: -0.5 } },
      annotatedEarlier: false,
    });
    expect(store.query(FeatureQuery.parse({ search: "zanzibar" }), { offset: 0, count: 9 }).rows[0]?.id).toBe("L2/F6");
    expect(store.need("L1/F5")).toMatchObject({ note: "", row: { labels: [], pinned: false } });
    expect(store.laterAblations().map(({ key }) => key)).toEqual(["L2/F6 key"]);
    expect(store.answer("asked")?.inputTokens).toBe(3);
  }
  const left = { notes: 1, labels: 1, pins: 1, explanations: 1, ablations: 1 };
  expect(await earlierStores(path)).toEqual([{ path: older, left, problem: null }]);
  using old = FeatureStore.openOutput(older);
  expect(old.query(FeatureQuery.parse({ annotated: true }), { offset: 0, count: 9 }).total).toBe(2);
});

it("takes over what is written on the other copy later, once, and leaves what was removed here removed", async () => {
  const env = { LFP_STATE_DIR: await scratch() };
  const older = await olderCopy(env.LFP_STATE_DIR, "0123456789abcdef");
  const path = await livingStore(starterRunFolder(), env);
  {
    using store = FeatureStore.open(path);
    store.annotate("L2/F6", { note: "mine now", labels: [], pinned: false });
    using old = FeatureStore.open(older);
    old.annotate("L3/F7", { note: "later", labels: ["odd"] });
  }
  expect(await livingStore(starterRunFolder(), env)).toBe(path);
  using store = FeatureStore.open(path);
  expect(store.need("L3/F7")).toMatchObject({ note: "later", row: { labels: ["odd"] } });
  expect(store.need("L2/F6")).toMatchObject({ note: "mine now", row: { labels: [], pinned: false } });
});

it("says how much another version's copy has lost to damage, and takes the rest", async () => {
  const env = { LFP_STATE_DIR: await scratch() };
  const older = await olderCopy(env.LFP_STATE_DIR, "0123456789abcdef");
  const db = new DatabaseSync(older);
  db.exec("UPDATE notes SET note = x'00' WHERE note LIKE '%L2/F6'");
  db.close();
  const path = await livingStore(starterRunFolder(), env);
  using store = FeatureStore.open(path);
  expect(store.need("L2/F6")).toMatchObject({ note: "", row: { labels: ["praise"] } });
  const [found] = await earlierStores(path);
  expect(found).toMatchObject({ path: older, left: { notes: 1 }, problem: expect.stringMatching(/^1 of its rows/) });
});

it("says so where another version's copy cannot be read, and goes on", async () => {
  const env = { LFP_STATE_DIR: await scratch() };
  const broken = join(env.LFP_STATE_DIR, "starter-run", "fedcba9876543210", "features.sqlite");
  await mkdir(dirname(broken), { recursive: true });
  await writeFile(broken, "no database");
  const path = await livingStore(starterRunFolder(), env);
  expect(await earlierStores(path)).toEqual([{ path: broken, left: {}, problem: expect.stringContaining(broken) }]);
  expect(await readFile(broken, "utf8")).toBe("no database");
});
