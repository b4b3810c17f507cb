import fs from "node:fs";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { FeatureStore } from "../../store/store.ts";
import { writeSyntheticStore } from "../../store/synthetic.ts";
import { FeatureStores } from "./feature-stores.ts";

const network = vi.hoisted(() => ({ name: undefined as string | undefined }));
vi.mock("../../common/network-file-system.ts", () => ({ networkFileSystemOf: () => network.name }));

const same = (store: FeatureStore): FeatureStore => store;

let folder: string;
let source: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-stores-"));
  source = join(folder, "source.sqlite");
  writeSyntheticStore(source, { layers: 1, features: 8 });
});
afterAll(() => rm(folder, { recursive: true }));

/** A run's folder that holds nothing but a store. */
async function run(name: string): Promise<string> {
  const own = join(folder, name);
  await mkdir(own);
  await copyFile(source, join(own, "features.sqlite"));
  return own;
}

describe("the feature stores of runs", () => {
  it("give requests that come at the same time one store that stays open", async () => {
    const own = await run("same");
    const stores = new FeatureStores(vi.fn());
    const [a, b] = await Promise.all([stores.use(own, same), stores.use(own, same)]);
    expect(a).toBe(b);
    expect(await stores.use(own, same)).toBe(a);
    expect(a.detail("L0/F0")).toBeDefined();
    stores.close();
  });

  it("open the file that took another's place", async () => {
    const own = await run("replaced");
    const stores = new FeatureStores(vi.fn());
    const before = await stores.use(own, same);
    await rm(join(own, "features.sqlite"));
    await copyFile(source, join(own, "features.sqlite"));
    const after = await stores.use(own, same);
    expect(after).not.toBe(before);
    expect(after.detail("L0/F0")).toBeDefined();
    expect(await stores.largestActivation(own, "L0/F0")).toBe(after.need("L0/F0").row.maxActivation);
    stores.close();
  });

  it("on a network file system are copied anew only when somebody else has replaced them", async () => {
    network.name = "NFS";
    onTestFinished(() => {
      network.name = undefined;
    });
    const own = await run("network");
    const stores = new FeatureStores(vi.fn());
    const before = await stores.use(own, same);
    await stores.use(own, (store) => store.annotate("L0/F0", { note: "own" }));
    const copies = vi.spyOn(fs, "copyFileSync");
    syncBuiltinESMExports();
    expect(await stores.use(own, (store) => store.need("L0/F0").note)).toBe("own");
    expect(copies).not.toHaveBeenCalled();
    {
      using other = FeatureStore.open(join(own, "features.sqlite"));
      other.annotate("L0/F0", { note: "another's" });
    }
    copies.mockClear();
    expect(await stores.use(own, (store) => store.need("L0/F0").note)).toBe("another's");
    expect(copies).toHaveBeenCalledTimes(1);
    copies.mockRestore();
    syncBuiltinESMExports();
    expect(await stores.use(own, same)).toBe(before);
    await rm(join(own, "features.sqlite"));
    await expect(stores.use(own, same)).rejects.toThrow("has no features yet");
    stores.close();
  });

  it("stay open under whoever works with them, though the file is replaced, others are opened and all are closed", async () => {
    const own = await run("leased");
    const stores = new FeatureStores(vi.fn());
    const [isReplaced, isDone] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let leased: FeatureStore | undefined;
    const work = stores.use(own, async (store) => {
      leased = store;
      isReplaced.resolve();
      await isDone.promise;
      return store.detail("L0/F0")?.row.id;
    });
    await isReplaced.promise;
    await rm(join(own, "features.sqlite"));
    await copyFile(source, join(own, "features.sqlite"));
    expect(await stores.use(own, same)).not.toBe(leased);
    for (const name of ["other-1", "other-2", "other-3", "other-4", "other-5"])
      await stores.words(await run(name), ["L0/F0"]);
    stores.close();
    isDone.resolve();
    expect(await work).toBe("L0/F0");
    expect(() => leased?.detail("L0/F0")).toThrow();
  });

  it("that were used last are kept, and the others closed", async () => {
    const stores = new FeatureStores(vi.fn());
    const folders = await Promise.all(["a", "b", "c", "d", "e"].map(run));
    const [a, b, c, d, e] = folders as [string, string, string, string, string];
    const first = await stores.use(a, same);
    const second = await stores.use(b, same);
    for (const folderOf of [c, d, a, e]) await stores.use(folderOf, same);
    expect(await stores.use(a, same)).toBe(first);
    expect(() => second.detail("L0/F0")).toThrow();
    stores.close();
  });

  it("read no more of a feature for words and scales than is needed", async () => {
    const own = await run("light");
    const stores = new FeatureStores(vi.fn());
    const explanation = { explainer: "offline", text: "praise", terms: ["great"], scores: [], relevance: null };
    const row = await stores.use(own, (store) => {
      store.addExplanations([{ id: "L0/F1", explanation }], true);
      return store.need("L0/F1").row;
    });
    const detail = vi.spyOn(FeatureStore.prototype, "detail");
    expect(await stores.largestActivation(own, row.id)).toBe(row.maxActivation);
    expect(await stores.largestActivation(own, "L9/F1")).toBeUndefined();
    expect(await stores.words(own, [row.id, "L9/F1"])).toEqual(new Map([[row.id, "praise"]]));
    expect(detail).not.toHaveBeenCalled();
    detail.mockRestore();
    stores.close();
  });

  it("tell of a damaged store once, with its path, whoever asks and however often", async () => {
    const own = await run("damaged");
    const path = join(own, "features.sqlite");
    const db = new DatabaseSync(path);
    db.exec("UPDATE details SET histogram = x'010203'");
    db.close();
    const onFailure = vi.fn();
    const stores = new FeatureStores(onFailure);
    for (let i = 0; i < 3; i++) expect(await stores.use(own, (store) => store.detail("L0/F1"))).toBeDefined();
    await stores.words(own, ["L0/F0", "L0/F2"]);
    stores.close();
    expect(await stores.use(own, (store) => store.detail("L0/F1"))).toBeDefined();
    expect(onFailure.mock.calls).toEqual([[expect.objectContaining({ message: expect.stringContaining(path) })]]);
    stores.close();
  });

  it("have no words for a run without a store, and report one that cannot be read", async () => {
    const onFailure = vi.fn();
    const stores = new FeatureStores(onFailure);
    const bare = join(folder, "bare");
    await mkdir(bare);
    expect(await stores.words(bare, ["L0/F0"])).toEqual(new Map());
    expect(await stores.largestActivation(bare, "L0/F0")).toBeUndefined();
    expect(onFailure).not.toHaveBeenCalled();
    await writeFile(join(bare, "features.sqlite"), "no database");
    expect(await stores.words(bare, ["L0/F0"])).toEqual(new Map());
    expect(onFailure).toHaveBeenCalledOnce();
    await expect(stores.use(bare, same)).rejects.toThrow("cannot be opened as a feature store");
    stores.close();
  });
});
