import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { writeSyntheticStore } from "../../store/synthetic.ts";
import { FeatureStores } from "./feature-stores.ts";

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
    const [a, b] = await Promise.all([stores.store(own), stores.store(own)]);
    expect(a).toBe(b);
    expect(await stores.store(own)).toBe(a);
    expect(a.detail("L0/F0")).toBeDefined();
    stores.close();
  });

  it("open the file that took another's place", async () => {
    const own = await run("replaced");
    const stores = new FeatureStores(vi.fn());
    const before = await stores.store(own);
    await rm(join(own, "features.sqlite"));
    await copyFile(source, join(own, "features.sqlite"));
    const after = await stores.store(own);
    expect(after).not.toBe(before);
    expect(after.detail("L0/F0")).toBeDefined();
    expect(await stores.largestActivation(own, "L0/F0")).toBe(after.need("L0/F0").row.maxActivation);
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
    await expect(stores.store(bare)).rejects.toThrow("cannot be opened as a feature store");
    stores.close();
  });
});
