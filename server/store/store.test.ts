import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FeatureDetail, FeatureQuery, FeatureRow } from "../protocol/features.ts";
import { idOfNumber, numberOfId } from "./feature-number.ts";
import { pageStatement } from "./query.ts";
import { migrations, storeVersion } from "./schema.ts";
import { matchOf, parseSearch } from "./search.ts";
import { FeatureStore, type NewExplanation } from "./store.ts";
import { plantedWord, writeSyntheticStore } from "./synthetic.ts";

let folder: string;
let made: string;
let first: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-store-"));
  made = join(folder, "made.sqlite");
  writeSyntheticStore(made, { layers: 2, features: 1500 });
  first = join(folder, "first.sqlite");
  using store = FeatureStore.open(first, { create: true });
  store.refill({ path: made, key: "first" });
});
afterAll(() => rm(folder, { recursive: true }));

let count = 0;
/** A store of its own, filled from what was made. */
function filled(): FeatureStore {
  const path = join(folder, `live-${count++}.sqlite`);
  copyFileSync(first, path);
  return FeatureStore.open(path);
}

const page = (query: object = {}, offset = 0, rows = 200) =>
  [FeatureQuery.parse(query), { offset, count: rows }] as const;

const explanation = (text: string, explainer = "offline"): NewExplanation => ({
  explainer,
  text,
  terms: ["great"],
  scores: [
    {
      method: "detection",
      value: 0.8,
      low: 0.7,
      high: 0.9,
      windows: 40,
      unusable: 0,
      truePositives: 16,
      positives: 20,
      trueNegatives: 16,
      negatives: 20,
      control: 0.5,
    },
  ],
  relevance: { relevant: true, polarity: "positive", confidence: 0.9, why: "praise" },
});

describe("the feature table", () => {
  it("is described by its dictionaries, with their living features, and the labels in use", () => {
    using store = filled();
    store.annotate("L0/F1", { labels: ["praise", "odd"] });
    store.annotate("L1/F1", { labels: ["praise"] });
    expect(store.describe()).toEqual({
      dictionaries: [{ model: "tuned", size: "small", layers: [0, 1], features: 3000, alive: 2998 }],
      labels: ["praise", "odd"],
    });
  });

  it("pages through every feature once, in the order asked, dead ones only when asked for", () => {
    using store = filled();
    const ids: string[] = [];
    for (let offset = 0; ; offset += 500) {
      const { rows, total } = store.query(...page({ sort: "contribution" }, offset, 500));
      expect(total).toBe(2 * 1499);
      if (rows.length === 0) break;
      ids.push(...rows.map(({ id }) => id));
    }
    expect(new Set(ids).size).toBe(2 * 1499);
    // |f - 750| / 1500 is largest at both ends; feature 0 is dead.
    expect(ids.slice(0, 4).toSorted()).toEqual(["L0/F1", "L0/F1499", "L1/F1", "L1/F1499"]);
    expect(store.query(...page({ includeDead: true })).total).toBe(3000);
    const rising = store.query(...page({ sort: "density", descending: false, layers: [1] })).rows;
    expect(rising.map(({ feature }) => feature).slice(0, 3)).toEqual([1, 2, 3]);
    for (const row of rising) FeatureRow.parse(row);
  });

  // What makes the table's first page a matter of a millisecond however many features there are; `lfp bench features` times it.
  it("has its first page read along an index, not sorted", () => {
    using store = filled();
    const db = new DatabaseSync(store.path);
    const plan = pageStatement(FeatureQuery.parse({}), 2 * 1499);
    const steps = db.prepare(`EXPLAIN QUERY PLAN ${plan.sql}`).all(...plan.given, 200, 0);
    db.close();
    const words = steps.map(({ detail }) => String(detail)).join("\n");
    expect(words).toContain("USING INDEX features_by_contribution");
    expect(words).not.toContain("TEMP B-TREE");
  });

  it("finds the same features in the same order whichever way a search goes", () => {
    using store = filled();
    const query = FeatureQuery.parse({ search: "film gre" });
    const db = new DatabaseSync(store.path);
    const [sorted, walked] = [10, 100_000].map((total) => {
      const { sql, given } = pageStatement(query, total);
      return { sql, ids: db.prepare(sql).all(...given, 500, 100) };
    });
    db.close();
    expect(sorted?.sql).not.toBe(walked?.sql);
    expect(sorted?.ids).toHaveLength(500);
    expect(walked?.ids).toEqual(sorted?.ids);
  });

  it("sorts by every column, whichever way, with what is absent last", () => {
    using store = filled();
    store.addExplanations([{ id: "L1/F7", explanation: explanation("praise") }], true);
    for (const sort of ["id", "density", "maxActivation", "probeWeight", "contribution", "twin", "score", "ablation"]) {
      for (const descending of [true, false])
        expect(store.query(...page({ sort, descending })).rows, sort).toHaveLength(200);
    }
    for (const descending of [true, false])
      expect(store.query(...page({ sort: "score", descending })).rows[0]?.id).toBe("L1/F7");
  });

  it("finds words of examples, explanations, labels and notes, and features by their id", () => {
    using store = filled();
    const found = (search: string) => store.query(...page({ search })).rows.map(({ id }) => id);
    expect(new Set(found(plantedWord(77)))).toEqual(new Set(["L0/F77", "L1/F77", "L0/F1077", "L1/F1077"]));
    expect(found("L1/F9")).toEqual(["L1/F9"]);
    store.addExplanations([{ id: "L0/F5", explanation: explanation("sentences of quaint praise") }], false);
    store.annotate("L0/F6", { note: "Überraschend: a twist", labels: ["to check"] });
    expect(found("quai")).toEqual(["L0/F5"]);
    expect(found("uberraschend")).toEqual(["L0/F6"]);
    expect(found("to check")).toEqual(["L0/F6"]);
    store.annotate("L0/F6", { note: "" });
    expect(found("uberraschend")).toEqual([]);
    expect(store.query(...page({ label: "to check" })).rows.map(({ id }) => id)).toEqual(["L0/F6"]);
    expect(store.query(...page({ relevant: true })).rows.map(({ id }) => id)).toEqual(["L0/F5"]);
    store.annotate("L1/F3", { pinned: true });
    expect(store.query(...page({ annotated: true, sort: "id" })).total).toBe(2);
  });

  it("gives the features before and after one in the order of any query, as its pages have them", () => {
    using store = filled();
    for (const given of [
      {},
      { sort: "id", descending: false },
      { search: plantedWord(1), sort: "match" },
      { layers: [1] },
    ]) {
      const query = FeatureQuery.parse(given);
      const { rows, total } = store.query(query, { offset: 0, count: 40 });
      const ids = rows.map(({ id }) => id);
      expect(ids.length).toBeGreaterThan(2);
      expect(store.neighbours(query, ids[0] ?? "")).toEqual({ at: 0, total, previous: null, next: ids[1] });
      expect(store.neighbours(query, ids[1] ?? "")).toEqual({ at: 1, total, previous: ids[0], next: ids[2] });
      const last = store.query(query, { offset: total - 1, count: 1 }).rows[0]?.id ?? "";
      expect(store.neighbours(query, last)).toMatchObject({ at: total - 1, next: null });
    }
    const none = { at: null, previous: null, next: null };
    expect(store.neighbours(FeatureQuery.parse({ layers: [1] }), "L0/F5")).toMatchObject(none);
    expect(store.neighbours(FeatureQuery.parse({}), "no id")).toMatchObject(none);
  });

  it("ranks what a word means before what only has it in its examples, and says where it is", () => {
    using store = filled();
    const word = plantedWord(77);
    store.addExplanations([{ id: "L1/F3", explanation: explanation(`strongest on ${word}, good`) }], false);
    store.annotate("L0/F4", { note: `like ${word}` });
    const { rows, total } = store.query(...page({ search: word, sort: "match" }));
    expect(total).toBe(6);
    expect(rows[0]).toMatchObject({ id: "L1/F3", matches: ["explanation"] });
    expect(rows.find(({ id }) => id === "L0/F4")?.matches).toEqual(["note"]);
    expect(rows.find(({ id }) => id === "L0/F77")?.matches).toEqual(["examples"]);
    const [best] = store.query(...page({ sort: "match" })).rows;
    expect(best?.id).toBe(store.query(...page({ sort: "contribution" })).rows[0]?.id);
    expect(best?.matches).toEqual([]);
  });

  it("finds features by a part of their id, and by conditions on their numbers", () => {
    using store = filled();
    const found = (search: string) =>
      store.query(...page({ search, sort: "id", descending: false })).rows.map(({ id }) => id);
    expect(found("F11")).toEqual(["L0/F11", "L1/F11"]);
    expect(found("f11 l1")).toEqual(["L1/F11"]);
    expect(found("l1/f11")).toEqual(["L1/F11"]);
    // Feature f has density f / 15,000 and contribution (f - 750) / 1500.
    expect(found("density<=0.02% layer=0")).toEqual(["L0/F1", "L0/F2", "L0/F3"]);
    expect(found("contribution > 0.4985 density < 1")).toEqual(["L0/F1498", "L0/F1499", "L1/F1498", "L1/F1499"]);
    expect(found(`density<1% ${plantedWord(77)}`)).toEqual(["L0/F77", "L1/F77"]);
    expect(parseSearch("x<3 F11b density<y").conditions).toEqual([]);
  });

  it.each([
    `"`,
    `" OR *`,
    "film) OR (rowid:*",
    "NEAR(",
    "'; DROP TABLE features; --",
    "*",
    "examples : film",
    "ﬁlm\u0000",
  ])("takes %j as words and nothing else", (search) => {
    using store = filled();
    expect(() => store.query(...page({ search }))).not.toThrow();
    expect(store.features).toBe(3000);
    expect(matchOf(search) ?? "").not.toMatch(/[^"]\*[^"]|\bOR\b(?!")/);
  });
});

describe("a feature", () => {
  it("comes with everything that the store has of it", () => {
    using store = filled();
    const detail = FeatureDetail.parse(store.need("L1/F77"));
    expect(detail.row.twin?.id).toBe("L1/F77@big");
    expect(detail.baseTwin?.id).toBe("base:L1/F77");
    expect(detail.row.histogram).toHaveLength(20);
    expect(detail.promotes).toEqual([{ token: "·good", logit: 1.5 }]);
    const [top] = detail.examples;
    expect(top?.group).toBe("top");
    expect(top?.examples).toHaveLength(8);
    for (const { tokens, activations, peak } of top?.examples ?? []) {
      expect(tokens).toHaveLength(activations.length);
      expect(tokens.join("")).toContain(plantedWord(77));
      expect(activations[peak]).toBe(1);
    }
    expect(store.detail("L1/F99999")).toBeUndefined();
    expect(() => store.need("../../etc/passwd")).toThrow(/has no feature/);
    expect(() => store.annotate("L9/F1", { note: "x" })).toThrow(/has no feature L9\/F1/);
  });

  it("has an id that its number gives back", () => {
    for (const id of ["L0/F0", "L127/F999999@big", "base:L4/F43", "base:L4/F43@big"])
      expect(idOfNumber(numberOfId(id) ?? -1)).toBe(id);
  });
});

describe("a rebuild", () => {
  it("keeps what people wrote and paid for, and says when it was about an earlier dictionary", async () => {
    using store = filled();
    store.annotate("L0/F5", { note: "mine", labels: ["a", "b"], pinned: true });
    store.addExplanations([{ id: "L0/F5", explanation: explanation("paid for", "gpt-4") }], false);
    store.addExplanations([{ id: "L0/F5", explanation: explanation("by the run") }], true);
    store.keepAnswer("k", { answer: "{}", inputTokens: 3, outputTokens: 1 });
    const effect = { id: "L0/F5", what: "this", factor: 0, prompts: 256, change: -0.5, low: -0.7, high: -0.3 } as const;
    store.addAblations([{ key: "x", result: { kept: true }, effects: [effect] }], false);
    const set = { features: [{ id: "L1/F7" }, { id: "L0/F5" }] };
    store.addAblations([{ key: "set", result: set, effects: [] }], false);
    store.addAblations([{ key: "own", result: set, effects: [] }], true);
    expect(store.refill({ path: made, key: "first" })).toBe(false);
    expect(store.refill({ path: made, key: "second" })).toBe(true);
    const same = store.need("L0/F5");
    expect(same).toMatchObject({ note: "mine", annotatedEarlier: false });
    expect(same.row).toMatchObject({ labels: ["a", "b"], pinned: true, ablation: { change: -0.5 } });
    expect(same.explanations.map(({ text }) => text)).toEqual(["paid for"]);
    expect(store.query(...page({ sort: "score" })).rows[0]?.id).toBe("L0/F5");
    expect(store.answer("k")?.inputTokens).toBe(3);

    const measured = () => store.laterAblations().map(({ key, earlier }) => ({ key, earlier }));
    expect(measured()).toEqual([
      { key: "set", earlier: false },
      { key: "x", earlier: false },
    ]);
    expect(store.laterAblations()[0]?.result).toEqual(set);

    const other = join(folder, "other.sqlite");
    writeSyntheticStore(other, { layers: 2, features: 1500, digest: "b".repeat(64) });
    store.refill({ path: other, key: "third" });
    const later = store.need("L0/F5");
    expect(later).toMatchObject({ note: "mine", annotatedEarlier: true, explanations: [], ablations: [] });
    expect(later.row).toMatchObject({ labels: ["a", "b"], pinned: true, ablation: null });
    expect(measured()[0]).toEqual({ key: "set", earlier: true });
    expect(store.query(...page({ pinned: true })).rows.map(({ id }) => id)).toEqual(["L0/F5"]);
  });

  it("that fails leaves everything as it was, and a reader sees no half of one", async () => {
    using store = filled();
    using reader = FeatureStore.open(store.path);
    const broken = join(folder, "broken.sqlite");
    writeSyntheticStore(broken, { layers: 1, features: 10 });
    const db = new DatabaseSync(broken);
    db.exec("DROP TABLE details");
    db.close();
    expect(() => store.refill({ path: broken, key: "broken" })).toThrow(/could not be filled/);
    expect(reader.query(...page()).total).toBe(2 * 1499);
    expect(store.refill({ path: made, key: "again" })).toBe(true);
    expect(reader.meta("source")).toBe("again");
  });
});

describe("a store that another process fills anew all the time", () => {
  it("gives pages and features of one state, never of two", async () => {
    using store = filled();
    const small = join(folder, "small.sqlite");
    writeSyntheticStore(small, { layers: 1, features: 700 });
    const ask = () => ({
      page: store.query(...page({ search: "film", sort: "density" }, 100, 50)),
      feature: store.detail("L0/F699"),
    });
    const states = new Set<string>();
    for (const path of [small, made]) {
      store.refill({ path, key: path });
      const { page: whole, feature } = ask();
      states.add(JSON.stringify(whole)).add(JSON.stringify(feature));
    }
    expect(states.size).toBe(4);
    const child = spawn(process.execPath, ["test/support/refill-store.ts", store.path, small, made], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    let turns = 0;
    const seen = new Set<string>();
    createInterface({ input: child.stdout }).on("line", (line) => {
      turns = Number(line);
    });
    while (turns < 20) {
      const { page: whole, feature } = ask();
      seen.add(JSON.stringify(whole)).add(JSON.stringify(feature));
      await new Promise((resolve) => setImmediate(resolve));
    }
    child.stdin.end();
    await once(child, "exit");
    expect([...seen].filter((state) => !states.has(state))).toEqual([]);
    expect(seen.size).toBe(4);
  });
});

describe("stores of other versions", () => {
  it("of an earlier version are brought up to date with their rows", async () => {
    const path = join(folder, "old.sqlite");
    const db = new DatabaseSync(path);
    db.exec(migrations[0] ?? "");
    db.exec("PRAGMA application_id = 1279676486; PRAGMA user_version = 1; INSERT INTO notes VALUES (5, 'old', '', '')");
    db.close();
    using store = FeatureStore.open(path);
    store.keepAnswer("k", { answer: "{}", inputTokens: 1, outputTokens: 1 });
    store.refill({ path: made, key: "now" });
    expect(store.need("L0/F5").note).toBe("old");
  });

  it("name the features that move a reading most: by contribution, then by attribution, each once", () => {
    using store = filled();
    const rows = store.query(...page({ sort: "contribution" }, 0, 3)).rows;
    const [first, second, third] = rows.map(({ id }) => id);
    expect(store.mostMoving(2)).toEqual([first, second]);
    const other = store.query(...page({ sort: "contribution" }, 10, 1)).rows[0]?.id ?? "";
    store.setAttributions([
      { id: other, score: -3 },
      { id: first ?? "", score: 2 },
      { id: third ?? "", score: 1 },
    ]);
    expect(store.mostMoving(2)).toEqual([first, second, other]);
  });

  it("of version 2, as runs of earlier versions have them, fill a store, and are read with no attributions", () => {
    const path = join(folder, "two.sqlite");
    copyFileSync(made, path);
    const db = new DatabaseSync(path);
    db.exec("ALTER TABLE features DROP COLUMN attribution; PRAGMA user_version = 2");
    db.close();
    using output = FeatureStore.openOutput(path);
    expect(output.need("L0/F5").row.attribution).toBeNull();
    expect(() => output.query(...page({ sort: "attribution" }))).toThrow(/earlier version of lfp/);
    using store = FeatureStore.open(join(folder, "from-two.sqlite"), { create: true });
    store.setAttributions([]);
    store.refill({ path, key: "two" });
    store.setAttributions([{ id: "L0/F5", score: 0.5 }]);
    expect(store.need("L0/F5").row.attribution).toBe(0.5);
    store.refill({ path: made, key: "made" });
    expect(store.need("L0/F5").row.attribution).toBeNull();
    expect(() => store.setAttributions([{ id: "L9/F5", score: 1 }])).toThrow(/L9\/F5/);
  });

  it("of a newer version, of other programs, and damaged ones are refused with the reason", async () => {
    const newer = join(folder, "newer.sqlite");
    FeatureStore.open(newer, { create: true }).close();
    const db = new DatabaseSync(newer);
    db.exec(`PRAGMA user_version = ${storeVersion + 1}`);
    db.close();
    expect(() => FeatureStore.open(newer)).toThrow(/newer version of lfp/);
    const foreign = join(folder, "foreign.sqlite");
    const other = new DatabaseSync(foreign);
    other.exec("CREATE TABLE t (x)");
    other.close();
    expect(() => FeatureStore.open(foreign)).toThrow(/another program/);
    const text = join(folder, "text.sqlite");
    await writeFile(text, "no database at all, but long enough to have a header ".repeat(50));
    expect(() => FeatureStore.open(text)).toThrow(/cannot be opened as a feature store/);
    expect(() => FeatureStore.open(join(folder, "none.sqlite"))).toThrow(/does not exist/);
  });
});
