import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FakeHub, sha256 } from "../../test/support/fake-hub.ts";
import { configsOfCard, selectDataFiles } from "./hub/data-files.ts";
import {
  DataSetReferenceError,
  DataSplitError,
  DownloadDamagedError,
  HubRefusedError,
  HubUnreachableError,
  NotCachedError,
} from "./hub/errors.ts";
import { type DataSelection, resolveDataFiles } from "./hub-data.ts";

const ID = "stanfordnlp/imdb";
const COMMIT = "c".repeat(40);
const NEWER = "d".repeat(40);
const endings = [".jsonl", ".jsonl.gz", ".csv", ".parquet"];

const shard = (split: string, at: number, of: number) =>
  `plain_text/${split}-${String(at).padStart(5, "0")}-of-${String(of).padStart(5, "0")}.parquet`;
const bytesOf = (name: string) => Buffer.from(`${name} `.repeat(100));
const names = ["README.md", shard("test", 0, 1), shard("train", 1, 2), shard("train", 0, 2), "imdb.py"];
const files = Object.fromEntries(names.map((name) => [name, bytesOf(name)]));
const card = {
  license: "other",
  configs: [
    {
      config_name: "plain_text",
      data_files: [
        { split: "train", path: "plain_text/train-*" },
        { split: "test", path: "plain_text/test-*" },
      ],
      default: true,
    },
  ],
};

let hub: FakeHub;
let home = "";
let repoFolder = "";
beforeEach(async () => {
  home = await fs.mkdtemp(join(tmpdir(), "lfp-hub-data-"));
  repoFolder = join(home, "hub", "datasets--stanfordnlp--imdb");
  hub = await FakeHub.start();
  hub.repositories.set(`datasets/${ID}`, { branches: { main: COMMIT }, commits: { [COMMIT]: files }, card });
});
afterEach(async () => {
  await hub.stop();
  await fs.rm(home, { recursive: true, force: true });
});

function resolve(selection: Partial<DataSelection> = {}, { reference = ID, download = true, env = {} } = {}) {
  const patience = { retries: 1, retryDelayMs: 1, silenceMs: 5000 };
  const options = { download, patience, env: { HF_ENDPOINT: hub.endpoint, HF_HOME: home, ...env } };
  return resolveDataFiles(reference, { split: "train", endings, ...selection }, options);
}
const failing = (...given: Parameters<typeof resolve>) =>
  resolve(...given).then(
    () => undefined,
    (error) => error,
  );
const inSnapshot = (...paths: string[]) => paths.map((path) => join(repoFolder, "snapshots", COMMIT, path));

describe("a split of a data set on the hub", () => {
  it("brings the split's shards in order, and nothing else", async () => {
    const found = await resolve();
    const paths = inSnapshot(shard("train", 0, 2), shard("train", 1, 2));
    expect(found).toEqual({ paths, source: "download", id: ID, commit: COMMIT });
    for (const [i, path] of found.paths.entries()) {
      expect((await fs.readFile(path)).equals(bytesOf(shard("train", i, 2)))).toBe(true);
    }
    const blobs = await fs.readdir(join(repoFolder, "blobs"));
    expect(new Set(blobs)).toEqual(new Set([0, 1].map((i) => sha256(bytesOf(shard("train", i, 2))))));
    expect(await fs.readFile(join(repoFolder, "refs", "main"), "utf8")).toBe(COMMIT);
    expect(hub.filesSeen().every(({ path }) => path.includes("train-0000"))).toBe(true);

    expect((await resolve({ split: "test" })).paths).toEqual(inSnapshot(shard("test", 0, 1)));
    expect((await resolve({ config: "plain_text" })).source).toBe("cache");
  });

  it("asks for nothing unasked, and says how to ask", async () => {
    const error = await failing({}, { download: false });
    expect(error).toBeInstanceOf(NotCachedError);
    expect(error.message).toMatch(/data set stanfordnlp\/imdb@main .*--download/);
    expect(await failing({}, { env: { HF_HUB_OFFLINE: "1" } })).toBeInstanceOf(NotCachedError);
    expect(hub.seen).toEqual([]);
  });

  it("is found in the cache with the network off, and a split that is not there is told from a wrong one", async () => {
    await resolve();
    await hub.stop();
    for (const download of [false, true]) {
      const found = await resolve({}, { download });
      expect(found).toMatchObject({ source: "cache", commit: COMMIT });
      expect(found.paths).toHaveLength(2);
    }
    expect(await failing({ split: "test" }, { download: false })).toBeInstanceOf(NotCachedError);
    expect(await failing({ split: "tset" }, { download: false })).toBeInstanceOf(DataSplitError);
    expect(await failing({ split: "test" })).toBeInstanceOf(HubUnreachableError);
  });

  it("is not taken for whole while a shard is missing or short", async () => {
    const { paths } = await resolve();
    await fs.truncate(await fs.realpath(String(paths[1])), 10);
    expect(await failing({}, { download: false })).toBeInstanceOf(NotCachedError);
    hub.seen.length = 0;
    expect((await resolve()).source).toBe("download");
    expect(hub.filesSeen().every(({ path }) => path.includes("train-00001"))).toBe(true);
    expect((await resolve({}, { download: false })).paths).toEqual(paths);
  });

  it("goes on after a broken connection, and refuses wrong bytes", async () => {
    hub.cutAfter = (path) => (path.includes("train-00001") ? 1000 : Number.POSITIVE_INFINITY);
    expect((await resolve()).paths).toHaveLength(2);
    hub.alter = (path, bytes) => (path.includes("test-") ? Buffer.from(bytes).fill(0, 0, 1) : bytes);
    expect(await failing({ split: "test" })).toBeInstanceOf(DownloadDamagedError);
    expect(await failing({ split: "test" }, { download: false })).toBeInstanceOf(NotCachedError);
  });

  it("does not ask about a commit that it has", async () => {
    const reference = `${ID}@${COMMIT}`;
    await resolve({}, { reference });
    hub.seen.length = 0;
    expect((await resolve({}, { reference })).source).toBe("cache");
    expect(hub.seen).toEqual([]);
    await resolve({ split: "test" }, { reference });
    expect(hub.seen.some(({ path }) => path.includes("/tree/"))).toBe(false);
  });

  it("follows a branch that moved, also to find a split that was not there before", async () => {
    await resolve();
    const newer = { ...files, [shard("validation", 0, 1)]: bytesOf("validation") };
    const configs = [
      { config_name: "default", data_files: [{ split: "validation", path: "plain_text/validation-*" }] },
    ];
    hub.repositories.set(`datasets/${ID}`, {
      branches: { main: NEWER },
      commits: { [COMMIT]: files, [NEWER]: newer },
      card: { configs },
    });
    expect(await resolve({ split: "validation" })).toMatchObject({ commit: NEWER, source: "download" });
    expect(await failing()).toBeInstanceOf(DataSplitError);
    expect(await resolve({}, { reference: `${ID}@${COMMIT}` })).toMatchObject({ commit: COMMIT, source: "cache" });
  });

  it("takes what another tool left only where the names show that it is whole", async () => {
    await resolve();
    await fs.rm(join(repoFolder, ".lfp"), { recursive: true });
    expect((await resolve({}, { download: false })).paths).toHaveLength(2);
    await fs.rm(String(inSnapshot(shard("train", 0, 2))[0]));
    expect(await failing({}, { download: false })).toBeInstanceOf(NotCachedError);
    await fs.rm(join(repoFolder, "snapshots", COMMIT), { recursive: true });
    await fs.mkdir(join(repoFolder, "snapshots", COMMIT));
    await fs.writeFile(String(inSnapshot("train.jsonl")[0]), "{}");
    expect(await failing({}, { download: false })).toBeInstanceOf(NotCachedError);
  });

  it("names what is wrong with the reference", async () => {
    for (const reference of ["imdb", "a/b/c", "../x", "a/b@..", ""]) {
      const error = await failing({}, { reference });
      expect(error, reference).toBeInstanceOf(DataSetReferenceError);
      expect(error.message).toContain("stanfordnlp/imdb");
    }
    const unknown = await failing({}, { reference: "nobody/nothing" });
    expect(unknown).toBeInstanceOf(HubRefusedError);
    expect(unknown.message).toContain("no such data set");
    expect(await failing({}, { reference: `${ID}@other` })).toMatchObject({ status: 404 });
  });

  it("refuses a list that leads out of its folder, and answers that are not the hub's", async () => {
    for (const path of [
      "../train.jsonl",
      "/train.jsonl",
      "a/../../train.jsonl",
      "a\\..\\train.jsonl",
      "a//train.jsonl",
    ]) {
      const entry = { type: "file", path, size: 5, oid: "a".repeat(40) };
      hub.intercept = (seen, response) =>
        seen.path.includes("/tree/") && Boolean(response.end(JSON.stringify([entry])));
      expect(await failing(), path).toBeInstanceOf(HubUnreachableError);
    }
    hub.intercept = (_seen, response) => Boolean(response.end("[]"));
    expect(await failing()).toBeInstanceOf(HubUnreachableError);
    expect(await fs.readdir(home)).toEqual([]);
  });
});

/** Paths and splits as in the hub's documentation; see data-files.ts. */
describe("the choice of files", () => {
  const select = (paths: readonly string[], selection: Partial<DataSelection> = {}, aCard: unknown = undefined) =>
    selectDataFiles("a/b", paths, configsOfCard(aCard), { split: "train", endings, ...selection });

  it.each<[string, string[], string, string[]]>([
    ["a file for each split", ["README.md", "test.csv", "train.csv"], "test", ["test.csv"]],
    ["a split's word in a name", ["my_test_file.csv", "my-train1.csv", "contrain.csv"], "train", ["my-train1.csv"]],
    [
      "folders",
      ["data/b.csv", "data/train/2.csv", "data/train/1.csv"],
      "train",
      ["data/train/1.csv", "data/train/2.csv"],
    ],
    ["the name before the folder", ["train/test.csv", "train/x.csv"], "test", ["train/test.csv"]],
    ["other words for a split", ["dev.csv", "eval.csv", "training.csv"], "validation", ["dev.csv"]],
    ["other words for a split, asked for", ["dev.csv", "eval.csv"], "dev", ["dev.csv"]],
    [
      "names of one's own, with shards",
      ["data/mine-00000-of-00001.csv", "data/train-00000-of-00001.csv"],
      "mine",
      ["data/mine-00000-of-00001.csv"],
    ],
    ["shards with a hash", ["train-00000-of-00001-9ab3.parquet"], "train", ["train-00000-of-00001-9ab3.parquet"]],
    ["no split at all", ["b.jsonl", "a.jsonl", "notes.txt"], "train", ["a.jsonl", "b.jsonl"]],
    ["zipped files", ["x/train.jsonl.gz", "x/test.jsonl.gz"], "train", ["x/train.jsonl.gz"]],
    [
      "two formats",
      ["train.csv", "train-1.parquet", "train-2.parquet"],
      "train",
      ["train-1.parquet", "train-2.parquet"],
    ],
  ])("by names: %s", (_what, paths, split, expected) => {
    expect(select(paths, { split })).toEqual(expected);
  });

  it("by names: a configuration is a folder", () => {
    const paths = ["harmless-base/train.jsonl.gz", "helpful-base/train.jsonl.gz", "helpful-base/test.jsonl.gz"];
    expect(select(paths, { config: "helpful-base" })).toEqual(["helpful-base/train.jsonl.gz"]);
    expect(select(paths)).toEqual(paths.slice(0, 2));
    expect(() => select(paths, { config: "helpful" })).toThrow(/"harmless-base", "helpful-base"/);
    expect(() => select(["train.csv"], { config: "x" })).toThrow(/leave the configuration out/);
  });

  const twoConfigs = {
    configs: [
      { config_name: "cola", data_files: [{ split: "train", path: ["cola/a.csv", "cola/{b,c}[0-9].csv"] }] },
      { config_name: "sst2", data_dir: "sst2", data_files: "**/*.csv" },
    ],
  };
  const twoConfigPaths = ["cola/a.csv", "cola/b1.csv", "cola/bx.csv", "sst2/deep/x.csv", "sst2/y.csv"];
  it("by card: patterns, configurations, folders", () => {
    expect(select(twoConfigPaths, { config: "cola" }, twoConfigs)).toEqual(["cola/a.csv", "cola/b1.csv"]);
    expect(select(twoConfigPaths, { config: "sst2" }, twoConfigs)).toEqual(["sst2/deep/x.csv", "sst2/y.csv"]);
    const byDefault = { configs: [twoConfigs.configs[0], { ...twoConfigs.configs[1], default: true }] };
    expect(select(twoConfigPaths, {}, byDefault)).toHaveLength(2);
    const plain = { configs: [{ config_name: "default", data_files: "d?ta[!1].csv" }] };
    expect(select(["data.csv", "data1.csv", "data2.csv", "x/data2.csv"], {}, plain)).toEqual(["data2.csv"]);
    const odd = { configs: [{ config_name: "default", data_files: "a(1)+.csv" }] };
    expect(select(["a(1)+.csv", "a1.csv"], {}, odd)).toEqual(["a(1)+.csv"]);
  });

  it("by card: what is wrong is named", () => {
    expect(() => select(twoConfigPaths, {}, twoConfigs)).toThrow(/several configurations.*"cola", "sst2"/);
    expect(() => select(twoConfigPaths, { config: "x" }, twoConfigs)).toThrow(/no configuration "x".*"cola"/);
    expect(() => select(twoConfigPaths, { config: "cola", split: "test" }, twoConfigs)).toThrow(
      /no files of the split "test" in its configuration "cola". It has "train"/,
    );
    const nothing = { configs: [{ config_name: "default", data_files: "none/*" }] };
    expect(() => select(["train.csv"], {}, nothing)).toThrow(DataSplitError);
    const unclosed = { configs: [{ config_name: "default", data_files: "{a.csv" }] };
    expect(() => select(["a.csv"], {}, unclosed)).toThrow(DataSplitError);
  });

  it("a card that says nothing of use leaves it to the names", () => {
    for (const useless of [null, "x", {}, { configs: "x" }, { configs: [] }, { configs: [{ config_name: "a" }] }]) {
      expect(select(["train.csv", "test.csv"], {}, useless)).toEqual(["train.csv"]);
    }
  });

  it("says which files there are where none can be read", () => {
    expect(() => select(["README.md", "data.arrow"])).toThrow(
      /".jsonl".*it has ".md", ".arrow".*a\/b@refs\/convert\/parquet/,
    );
    expect(() => select([])).toThrow(/it has no files/);
  });
});
