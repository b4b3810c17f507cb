import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { starterRunFolder } from "../models/open.ts";
import { FeatureQuery } from "../protocol/features.ts";
import { FeatureStore } from "../store/store.ts";
import { livingStore } from "./living-store.ts";

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
    const [row] = store.query(FeatureQuery.parse({}), { offset: 0, count: 1 }).rows;
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
