import * as fs from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { gitHash, sha256 } from "../../test/support/fake-hub.ts";
import {
  blobs,
  COMMIT,
  config,
  expectSnapshot,
  failing,
  files,
  home,
  hub,
  ID,
  NEWER,
  needed,
  noise,
  ownFiles,
  repoFolder,
  resolve,
  tokenizer,
  useHubModel,
  weights,
} from "../../test/support/hub-model.ts";
import { HubUnreachableError, ModelReferenceError, NotCachedError } from "./hub/errors.ts";
import { type DownloadProgress, parseHubReference } from "./hub.ts";
import { ModelFileError, openCheckpointTensors } from "./safetensors.ts";

useHubModel();

test("a folder is taken as it is, and nothing is asked of anyone", async () => {
  const folder = join(home, "my model");
  await fs.mkdir(folder);
  expect(await resolve({}, folder)).toEqual({ folder, source: "folder" });
  expect(await resolve({}, ".")).toEqual({ folder: process.cwd(), source: "folder" });
  expect(hub.seen).toEqual([]);
});

test("what names neither a folder nor a hub model", async () => {
  await fs.writeFile(join(home, "file"), "");
  expect(await failing({}, join(home, "file"))).toBeInstanceOf(ModelReferenceError);
  for (const path of ["./no/such", "/no/such", "~/no-such-folder", "..\\no", "C:no"]) {
    expect(await failing({}, path), path).toBeInstanceOf(ModelFileError);
  }
  for (const id of [
    "",
    "gpt2",
    "a/b/c",
    "a/",
    "/",
    "a b/c",
    "a/b--c",
    "a/..",
    "-a/b",
    "a/b.",
    "a/b@",
    "a/b@../x",
    "a/b@x@y",
    "a/b@/x",
    "a/b@x/",
    `a/${"b".repeat(97)}`,
    "a/b\u0000",
    "a/b?x",
  ]) {
    const error = await failing({}, id);
    if (id !== "/") expect(error, id).toBeInstanceOf(ModelReferenceError);
    expect(error?.message ?? "", id).not.toContain("\u0000");
  }
  expect(hub.seen).toEqual([]);
});

test("hub ids and revisions are told apart", () => {
  expect(parseHubReference("EleutherAI/pythia-70m")).toEqual({ id: "EleutherAI/pythia-70m", revision: "main" });
  expect(parseHubReference("a/b_c.d@step1000")).toEqual({ id: "a/b_c.d", revision: "step1000" });
  expect(parseHubReference("a/b@refs/pr/1")).toEqual({ id: "a/b", revision: "refs/pr/1" });
});

test("nothing is downloaded unasked, and the error says how to ask", async () => {
  const error = await failing({ download: false });
  expect(error).toBeInstanceOf(NotCachedError);
  expect(error.code).toBe("not-found");
  expect(error.message).toContain("--download");
  expect(error.message).toContain(join(home, "hub"));
  expect(hub.seen).toEqual([]);
  await expect(fs.readdir(join(home, "hub"))).rejects.toThrow();
});

test("a download brings what is needed into the standard cache, and no pickle", async () => {
  const progress: DownloadProgress[] = [];
  const model = await resolve({ onProgress: (step) => progress.push(step) });
  expect(model).toEqual({ folder: join(repoFolder, "snapshots", COMMIT), source: "download", id: ID, commit: COMMIT });
  await expectSnapshot(COMMIT, ownFiles());
  expect(await fs.readFile(join(repoFolder, "refs", "main"), "utf8")).toBe(COMMIT);

  const names = [sha256(weights), sha256(tokenizer)];
  for (const bytes of Object.values(ownFiles())) if (bytes.length <= 1000) names.push(gitHash(bytes));
  expect(new Set(await blobs())).toEqual(new Set(names));
  if (process.platform !== "win32") {
    const link = await fs.readlink(join(repoFolder, "snapshots", COMMIT, "model.safetensors"));
    expect(link).toBe(join("..", "..", "blobs", sha256(weights)));
  }

  const total = Object.values(ownFiles()).reduce((sum, bytes) => sum + bytes.length, 0);
  expect(progress.at(-1)).toEqual({ file: "model.safetensors", bytes: total, totalBytes: total });
  const counts = progress.map(({ bytes }) => bytes);
  expect(counts).toEqual([...counts].sort((a, b) => a - b));
  expect(new Set(progress.map(({ file }) => file))).toEqual(new Set(needed));
});

test("the second time only the commit and the list are asked for", async () => {
  await resolve();
  hub.seen.length = 0;
  expect((await resolve()).source).toBe("cache");
  expect(hub.filesSeen()).toEqual([]);
  expect(hub.seen.length).toBeGreaterThan(0);
});

test("a cached model works with the network off, whether downloading is allowed or not", async () => {
  const { folder } = await resolve();
  await hub.stop();
  const expected = { folder, source: "cache", id: ID, commit: COMMIT };
  expect(await resolve({ download: false })).toEqual(expected);
  expect(await resolve()).toEqual(expected);
  expect(await resolve({}, `${ID}@${COMMIT}`)).toEqual(expected);
  expect(await failing({}, `${ID}@other`)).toBeInstanceOf(HubUnreachableError);
});

test("a commit that is in the cache is not asked about, unless its tokenizer is missing", async () => {
  await resolve({}, `${ID}@${COMMIT}`);
  await expect(fs.readdir(join(repoFolder, "refs"))).rejects.toThrow();
  hub.seen.length = 0;
  expect((await resolve({}, `${ID}@${COMMIT}`)).source).toBe("cache");
  expect(hub.seen).toEqual([]);
  await fs.rm(join(repoFolder, "snapshots", COMMIT, "tokenizer.json"));
  await resolve({}, `${ID}@${COMMIT}`);
  await expectSnapshot(COMMIT, ownFiles());
});

test("HF_HUB_OFFLINE keeps even an allowed download from asking", async () => {
  const error = await failing({ env: { HF_HUB_OFFLINE: "1" } });
  expect(error).toBeInstanceOf(NotCachedError);
  expect(error.message).toContain("HF_HUB_OFFLINE");
  await resolve();
  hub.seen.length = 0;
  expect((await resolve({ env: { HF_HUB_OFFLINE: "1" } })).source).toBe("cache");
  expect(hub.seen).toEqual([]);
});

test("a snapshot that another tool left unfinished is not taken for a model, and is completed", async () => {
  const snapshot = join(repoFolder, "snapshots", COMMIT);
  await fs.mkdir(join(repoFolder, "refs"), { recursive: true });
  await fs.mkdir(snapshot, { recursive: true });
  await fs.writeFile(join(repoFolder, "refs", "main"), COMMIT);
  await fs.writeFile(join(snapshot, "config.json"), config);
  if (process.platform !== "win32") await fs.symlink("../../blobs/missing", join(snapshot, "model.safetensors"));
  expect(await failing({ download: false })).toBeInstanceOf(NotCachedError);
  await resolve();
  await expectSnapshot(COMMIT, ownFiles());
});

test("a blob that lost its end is fetched again", async () => {
  await resolve();
  await fs.truncate(join(repoFolder, "blobs", sha256(weights)), 100);
  expect((await resolve()).source).toBe("download");
  await expectSnapshot(COMMIT, ownFiles());
});

test("a branch that moved brings the new commit, shares what is the same, and keeps the old one", async () => {
  await resolve();
  const newer = { ...files, "config.json": Buffer.from('{"model_type":"gemma"}') };
  hub.repositories.set(ID, { branches: { main: NEWER }, commits: { [COMMIT]: files, [NEWER]: newer } });
  hub.seen.length = 0;
  expect(await resolve({ download: false })).toMatchObject({ commit: COMMIT });
  expect(await resolve()).toMatchObject({ commit: NEWER, source: "download" });
  expect(hub.filesSeen()).toHaveLength(1);
  await expectSnapshot(NEWER, { ...ownFiles(), "config.json": newer["config.json"] });
  await expectSnapshot(COMMIT, ownFiles());
  expect(await resolve({ download: false })).toMatchObject({ commit: NEWER });
});

test("a sharded model brings its index and every shard, and can be opened", async () => {
  const fixture = join(import.meta.dirname, "..", "..", "test", "fixtures", "safetensors", "sharded");
  const sharded: Record<string, Buffer> = { "config.json": config };
  for (const name of await fs.readdir(fixture)) sharded[name] = await fs.readFile(join(fixture, name));
  const commits = {
    [COMMIT]: { ...sharded, "pytorch_model.bin": noise(2000, 3), "other.safetensors": noise(2000, 4) },
  };
  hub.repositories.set(ID, { branches: { main: COMMIT }, commits });
  const { folder } = await resolve();
  await expectSnapshot(COMMIT, sharded);
  await using tensors = await openCheckpointTensors(folder);
  expect(tensors.tensors.size).toBeGreaterThan(10);
  await hub.stop();
  expect((await resolve({ download: false })).folder).toBe(folder);
  await fs.rm(join(folder, "model-00002-of-00002.safetensors"));
  expect(await failing({ download: false })).toBeInstanceOf(NotCachedError);
});
