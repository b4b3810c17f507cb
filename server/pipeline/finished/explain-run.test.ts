/** What an explaining job keeps of what it paid for, in a store on a local disk and in one on a network file system. */
import fs from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { FakeOpenAi, sendJson } from "../../../test/support/fake-openai.ts";
import { FeatureStore } from "../../store/store.ts";
import { writeSyntheticStore } from "../../store/synthetic.ts";
import { parseExperiment } from "../experiment/resolve.ts";
import { type ExplainRunHooks, explainRun } from "./explain-run.ts";
import { KeptAnswers, MOST_WAITING } from "./kept-answers.ts";

const onNetwork = { onNetwork: true } as const;
let folder: string;
let made: string;
let server: FakeOpenAi;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-kept-"));
  made = join(folder, "made.sqlite");
  writeSyntheticStore(made, { layers: 1, features: 12 });
});
afterAll(() => rm(folder, { recursive: true }));
beforeEach(async () => {
  server = await FakeOpenAi.start();
  // Each feature's own explanation, so that no two ask the same about it.
  server.answer = ({ name, raw }) =>
    name === "explanation" ? JSON.stringify({ explanation: `the word ${/planted\d+x/.exec(raw)?.[0]}` }) : undefined;
});
afterEach(() => server.stop());

/** The path of a run's store with eleven living features. */
async function filled(options: { readonly onNetwork?: boolean } = onNetwork): Promise<string> {
  const path = join(await mkdtemp(join(folder, "run-")), "features.sqlite");
  using store = FeatureStore.open(path, { ...options, create: true });
  store.refill({ path: made, key: "first" });
  return path;
}

/** Explains all features in turn, with the answers of a model that costs money. */
function explained(store: FeatureStore, hooks: ExplainRunHooks = {}) {
  const endpoint = { baseUrl: server.baseUrl, model: "fake-4", apiKey: "", maxTokens: 1_000_000, maxUsd: null };
  return explainRun(
    {
      store,
      experiment: parseExperiment({ preset: "quick", name: "made-up" }),
      ids: null,
      perLayer: 30,
      again: false,
      by: { kind: "endpoint", endpoint: { ...endpoint, prices: null } },
    },
    { concurrency: 1, ...hooks },
  );
}

/** The features that are explained, of the one layer. */
const explainable = (store: FeatureStore): string[] => store.mostMoving(30);

/** Counts how often a store is replaced from now on; `fail` has it fail. */
function replacements(path: string) {
  const { renameSync } = fs;
  const seen = { count: 0, fail: false };
  onTestFinished(() => {
    fs.renameSync = renameSync;
    syncBuiltinESMExports();
  });
  fs.renameSync = (from, to) => {
    if (to === path && seen.fail) throw new Error("EDQUOT: quota exceeded");
    if (to === path) seen.count += 1;
    renameSync(from, to);
  };
  syncBuiltinESMExports();
  return seen;
}

describe("explaining a run on a network file system", () => {
  it("replaces the store once for sixteen answers and explanations, and keeps what a local store keeps", async () => {
    const [path, there] = [await filled(), await filled({ onNetwork: false })];
    using store = FeatureStore.open(path, onNetwork);
    using local = FeatureStore.open(there);
    const seen = replacements(path);
    const result = await explained(store);
    const asked = server.seen.length;
    expect(asked).toBeGreaterThan(2 * 11);
    // An answer each, and a draft and its scores for each feature.
    expect(seen.count).toBe(Math.ceil((asked + 2 * result.explained.length) / MOST_WAITING));
    const expected = await explained(local);
    expect(server.seen).toHaveLength(2 * asked);
    expect(result.explained).toEqual(expected.explained);
    using again = FeatureStore.open(path, onNetwork);
    const kept = (one: FeatureStore) =>
      result.explained.flatMap(({ id }) => one.explanations(id)).map(({ created: _, ...rest }) => rest);
    expect(kept(again)).toHaveLength(11);
    expect(kept(again)).toEqual(kept(local));
  });

  it("keeps every answer of a job that is cancelled: the next asks for the others only", async () => {
    const path = await filled();
    using store = FeatureStore.open(path, onNetwork);
    const stop = new AbortController();
    const onProgress = (done: number) => done === 7 && stop.abort(new Error("cancelled"));
    await expect(explained(store, { signal: stop.signal, onProgress })).rejects.toThrow("cancelled");
    const paid = server.seen.length;
    expect(paid).toBeLessThan(MOST_WAITING);
    using again = FeatureStore.open(path, onNetwork);
    const drafted = explainable(again).filter((id) =>
      again.explanations(id).some(({ explainer }) => explainer === "fake-4"),
    );
    expect(drafted).toHaveLength(7);
    await explained(again);
    const questions = server.seen.map(({ raw }) => raw);
    expect(new Set(questions).size).toBe(questions.length);
    expect(questions.length).toBeGreaterThan(2 * 11);
  });

  it("keeps every answer of a job that fails", async () => {
    const path = await filled();
    using store = FeatureStore.open(path, onNetwork);
    server.intercept = (_, response) => {
      if (server.seen.length <= 5) return false;
      sendJson(response, 401, { error: { message: "no such key" } });
      return true;
    };
    await expect(explained(store)).rejects.toThrow(/401/);
    const paid = server.seen.slice(0, 5).map(({ raw }) => raw);
    server.intercept = () => false;
    using again = FeatureStore.open(path, onNetwork);
    await explained(again);
    expect(server.seen.slice(6).filter(({ raw }) => paid.includes(raw))).toEqual([]);
  });
});

const answer = { answer: "{}", inputTokens: 1, outputTokens: 2 } as const;

describe("answers that wait for others", () => {
  it("are there for the job at once, and in the store sixteen at a time, so that a crash loses fewer", async () => {
    const path = await filled();
    using store = FeatureStore.open(path, onNetwork);
    const kept = new KeptAnswers(store);
    const keys = Array.from({ length: 2 * MOST_WAITING + 3 }, (_, at) => `key ${at}`);
    for (const key of keys) kept.set(key, answer);
    expect(keys.filter((key) => kept.get(key) === undefined)).toEqual([]);
    // What a process that is killed now leaves.
    using after = FeatureStore.open(path, onNetwork);
    expect(keys.filter((key) => after.answer(key) !== undefined)).toEqual(keys.slice(0, 2 * MOST_WAITING));
  });

  it("do not wait in a store on a local disk", async () => {
    const path = await filled({ onNetwork: false });
    using store = FeatureStore.open(path);
    const kept = new KeptAnswers(store);
    kept.set("key", answer);
    using other = FeatureStore.open(path);
    expect(other.answer("key")).toMatchObject(answer);
  });

  it("are kept where an explanation beside them cannot be, whose failure is told", async () => {
    const path = await filled();
    using store = FeatureStore.open(path, onNetwork);
    const kept = new KeptAnswers(store);
    kept.set("key", answer);
    kept.write(() => store.annotate("L0/F5", { note: "of the group" }));
    kept.write(() => store.annotate("L7/F5", { note: "of no feature" }));
    expect(() => kept.flush()).toThrow("L7/F5");
    using after = FeatureStore.open(path, onNetwork);
    for (const one of [store, after]) {
      expect(one.answer("key")).toMatchObject(answer);
      expect(one.need("L0/F5").note).toBe("");
    }
    expect(() => kept.flush()).not.toThrow();
  });

  it("show as lost where the store cannot be replaced, and the next ones are kept", async () => {
    const path = await filled();
    using store = FeatureStore.open(path, onNetwork);
    const kept = new KeptAnswers(store);
    const seen = replacements(path);
    kept.set("lost", answer);
    seen.fail = true;
    expect(() => kept.flush()).toThrow("could not be replaced");
    expect(kept.get("lost")).toBeUndefined();
    seen.fail = false;
    kept.set("kept", answer);
    kept.flush();
    using after = FeatureStore.open(path, onNetwork);
    expect(after.answer("lost")).toBeUndefined();
    expect(after.answer("kept")).toMatchObject(answer);
  });
});
