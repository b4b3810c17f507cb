import * as fs from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FakeHub, gitHash, sha256 } from "../../test/support/fake-hub.ts";
import { Random } from "../common/random.ts";
import {
  DiskTooSmallError,
  DownloadCancelledError,
  DownloadDamagedError,
  HubRefusedError,
  HubSettingsError,
  HubUnreachableError,
  ModelReferenceError,
  NotCachedError,
} from "./hub/errors.ts";
import { type DownloadProgress, parseHubReference, type ResolveOptions, resolveModel } from "./hub.ts";
import {
  CheckpointIndexError,
  ModelFileError,
  NoWeightsError,
  openCheckpointTensors,
  PickleRefusedError,
} from "./safetensors.ts";

const ID = "Some-Owner/tiny_model.v1";
const COMMIT = "a".repeat(40);
const NEWER = "b".repeat(40);

const config = Buffer.from('{"model_type":"gpt_neox"}');
const tokenizer = noise(5000, 1);
const weights = noise(300_000, 2);
const files = {
  "config.json": config,
  "tokenizer.json": tokenizer,
  "tokenizer_config.json": Buffer.from("{}"),
  "special_tokens_map.json": Buffer.from('{"eos_token":"x"}'),
  "generation_config.json": Buffer.alloc(0),
  "model.safetensors": weights,
  "pytorch_model.bin": noise(2000, 3),
  "tf_model.h5": noise(2000, 4),
  "model.fp16.safetensors": noise(2000, 5),
  "README.md": Buffer.from("# A model"),
  "modeling_custom.py": Buffer.from("print('no')"),
};
const needed = Object.keys(files).slice(0, 6);

let hub: FakeHub;
let home = "";
let repoFolder = "";
beforeEach(async () => {
  home = await fs.mkdtemp(join(tmpdir(), "lfp-hub-"));
  repoFolder = join(home, "hub", "models--Some-Owner--tiny_model.v1");
  hub = await FakeHub.start();
  hub.repositories.set(ID, { branches: { main: COMMIT }, commits: { [COMMIT]: files } });
});
afterEach(async () => {
  await hub.stop();
  await fs.rm(home, { recursive: true, force: true });
});

function options(more: Partial<ResolveOptions> & { env?: Record<string, string> } = {}): ResolveOptions {
  const patience = { retries: 2, retryDelayMs: 1, silenceMs: 5000 };
  return { download: true, patience, ...more, env: { HF_ENDPOINT: hub.endpoint, HF_HOME: home, ...more.env } };
}

const resolve = (more?: Parameters<typeof options>[0], reference = ID) => resolveModel(reference, options(more));
const failing = (more?: Parameters<typeof options>[0], reference = ID) =>
  resolve(more, reference).then(
    () => undefined,
    (e) => e,
  );

function noise(bytes: number, seed: number): Buffer {
  const random = Random.fromSeed(seed);
  return Buffer.from(Uint8Array.from({ length: bytes }, () => random.uint32()));
}

async function expectSnapshot(commit: string, expected: Record<string, Buffer>): Promise<void> {
  const folder = join(repoFolder, "snapshots", commit);
  expect(new Set(await fs.readdir(folder))).toEqual(new Set(Object.keys(expected)));
  for (const [name, bytes] of Object.entries(expected)) {
    expect((await fs.readFile(join(folder, name))).equals(bytes), name).toBe(true);
  }
}

const blobs = () => fs.readdir(join(repoFolder, "blobs"));
const ownFiles = () => Object.fromEntries(Object.entries(files).filter(([name]) => needed.includes(name)));

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

test("a broken connection is taken up again where it broke", async () => {
  let cuts = 0;
  hub.cutAfter = (path) => (path === "model.safetensors" && cuts++ < 3 ? 50_000 : Number.POSITIVE_INFINITY);
  await resolve();
  await expectSnapshot(COMMIT, ownFiles());
  const ranges = hub.filesSeen().filter(({ server, path }) => server === "store" && path.endsWith("model.safetensors"));
  expect(ranges).toHaveLength(4);
  const starts = ranges.slice(1).map(({ range }) => Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1]));
  expect(starts.every((start, i) => start > Number(starts[i - 1] ?? 0) && start <= 50_000 * (i + 1))).toBe(true);
});

test("a download that failed is taken up by the next call, even after its process was killed", async () => {
  const first = { bytes: 40_000 };
  hub.cutAfter = (path) =>
    path !== "model.safetensors" ? Number.POSITIVE_INFINITY : first.bytes-- === 40_000 ? 40_000 : 0;
  const error = await failing();
  expect(error).toBeInstanceOf(HubUnreachableError);
  expect(error.message).toContain("kept");
  expect(await failing({ download: false })).toBeInstanceOf(NotCachedError);
  const partial = (await blobs()).filter((name) => name.endsWith(".incomplete"));
  expect(partial).toEqual([`${sha256(weights)}.lfp.incomplete`]);

  // As a killed process would have left it, under the name that said it was in use. No process has this number.
  const host = hostname().replaceAll(/[^\w-]/g, "_");
  const kept = join(repoFolder, "blobs", String(partial[0]));
  const bytesKept = (await fs.stat(kept)).size;
  expect(bytesKept).toBeGreaterThan(0);
  await fs.rename(kept, kept.replace(".lfp.", `.lfp-4194999-0-0-${host}.`));

  hub.cutAfter = () => Number.POSITIVE_INFINITY;
  hub.seen.length = 0;
  const progress: number[] = [];
  await resolve({ onProgress: ({ bytes }) => progress.push(bytes) });
  expect(hub.filesSeen().map(({ range }) => range)).toEqual([`bytes=${bytesKept}-`, `bytes=${bytesKept}-`]);
  expect(progress[0]).toBe(bytesKept);
  await expectSnapshot(COMMIT, ownFiles());
  expect((await blobs()).filter((name) => name.endsWith(".incomplete"))).toEqual([]);
});

test("what a living process is writing is left to it", async () => {
  const host = hostname().replaceAll(/[^\w-]/g, "_");
  await fs.mkdir(join(repoFolder, "blobs"), { recursive: true });
  const names = [
    `${sha256(weights)}.lfp-${process.ppid}-0-0-${host}.incomplete`,
    `${sha256(weights)}.lfp-1-0-0-elsewhere.incomplete`,
  ];
  for (const name of names) await fs.writeFile(join(repoFolder, "blobs", name), "not to be touched");
  await resolve();
  for (const name of names)
    expect(await fs.readFile(join(repoFolder, "blobs", name), "utf8")).toBe("not to be touched");
  await expectSnapshot(COMMIT, ownFiles());
});

test("two downloads of one model at once both succeed", async () => {
  const [one, two] = await Promise.all([resolve(), resolve()]);
  expect(one.folder).toBe(two.folder);
  await expectSnapshot(COMMIT, ownFiles());
  expect((await blobs()).filter((name) => name.endsWith(".incomplete"))).toEqual([]);
});

test("a hub that knows no ranges is asked for the whole file again", async () => {
  let cuts = 0;
  hub.honoursRanges = () => false;
  hub.cutAfter = (path) => (path === "model.safetensors" && cuts++ < 2 ? 50_000 : Number.POSITIVE_INFINITY);
  await resolve();
  await expectSnapshot(COMMIT, ownFiles());
});

test("left-over bytes that are wrong, or too many, are fetched anew", async () => {
  for (const left of [noise(100_000, 9), noise(400_000, 9), noise(300_000, 9)]) {
    await fs.rm(repoFolder, { recursive: true, force: true });
    await fs.mkdir(join(repoFolder, "blobs"), { recursive: true });
    await fs.writeFile(join(repoFolder, "blobs", `${sha256(weights)}.lfp.incomplete`), left);
    await resolve();
    await expectSnapshot(COMMIT, ownFiles());
  }
});

test.each(["model.safetensors", "config.json"])(
  "a wrong checksum of %s is an error, and nothing of it stays",
  async (name) => {
    hub.alter = (path, bytes) => (path === name ? Buffer.from(bytes).fill(0x20, 3, 4) : bytes);
    const error = await failing();
    expect(error).toBeInstanceOf(DownloadDamagedError);
    expect(error.message).toContain(name);
    expect(await blobs()).not.toContain(sha256(weights));
    expect((await blobs()).filter((blob) => blob.endsWith(".incomplete"))).toEqual([]);
    expect(await failing({ download: false })).toBeInstanceOf(NotCachedError);
    hub.alter = (_path, bytes) => bytes;
    await resolve();
    await expectSnapshot(COMMIT, ownFiles());
  },
);

test("a hub that sends too much or too little", async () => {
  hub.alter = (path, bytes) => (path === "model.safetensors" ? Buffer.concat([bytes, bytes]) : bytes);
  expect(await failing()).toBeInstanceOf(DownloadDamagedError);
  hub.alter = (path, bytes) => (path === "model.safetensors" ? bytes.subarray(0, 1000) : bytes);
  expect(await failing()).toBeInstanceOf(HubUnreachableError);
});

test("a hub that falls silent is asked again", async () => {
  let silences = 0;
  hub.intercept = ({ server, path }, response) => {
    if (server !== "store" || !path.endsWith("model.safetensors") || silences++ > 1) return false;
    // The first time nothing comes, the second time a beginning.
    if (silences === 2) response.writeHead(200, { "Content-Length": weights.length }).write(weights.subarray(0, 1000));
    return true;
  };
  await resolve({ patience: { retries: 10, retryDelayMs: 1, silenceMs: 200 } });
  await expectSnapshot(COMMIT, ownFiles());
  expect(hub.seen.map(({ range }) => range)).toContain("bytes=1000-");
});

test("a busy hub is asked again, for a while", async () => {
  let refusals = 0;
  hub.intercept = ({ server }, response) => {
    if (server === "store" || refusals++ % 3 === 2) return false;
    response.writeHead(refusals % 2 ? 429 : 503).end();
    return true;
  };
  await resolve();
  await expectSnapshot(COMMIT, ownFiles());
  hub.intercept = (_request, response) => Boolean(response.writeHead(500).end());
  const error = await failing({}, `${ID}@other`);
  expect(error).toBeInstanceOf(HubUnreachableError);
  expect(error).toMatchObject({ code: "resource" });
  expect(error.message).toContain("500");
});

test("no such model, no such revision, no permission: said in words", async () => {
  const unknown = await failing({}, "nobody/nothing");
  expect(unknown).toBeInstanceOf(HubRefusedError);
  expect(unknown).toMatchObject({ status: 401, code: "usage" });
  expect(unknown.message).toMatch(/spelling.*HF_TOKEN/);

  const revision = await failing({}, `${ID}@no-such-branch`);
  expect(revision).toMatchObject({ name: "HubRefusedError", status: 404, code: "not-found" });
  expect(revision.message).toContain("no such branch");

  hub.intercept = (_request, response) => Boolean(response.writeHead(403, { "X-Error-Code": "GatedRepo" }).end());
  const gated = await failing({ env: { HF_TOKEN: "hf_secret" } });
  expect(gated.message).toMatch(/terms/);
  expect(gated.message).not.toMatch(/HF_TOKEN|hf_secret/);
  hub.intercept = (_request, response) => Boolean(response.writeHead(401).end());
  expect((await failing({ env: { HF_TOKEN: "hf_secret" } })).message).toMatch(/check the token/);
  expect(hub.seen.length).toBeLessThan(10);
});

test("the token goes to the endpoint and nowhere else", async () => {
  let pageOnStore = "";
  hub.intercept = ({ server, path }, response) => {
    if (server === "store" && path === pageOnStore) return Boolean(response.end("[]"));
    if (server === "hub" && path.includes("/tree/") && pageOnStore === "") {
      // A list whose next page is on another origin.
      pageOnStore = "/elsewhere";
      response.setHeader("Link", `<${hub.storeOrigin}${pageOnStore}>; rel="next"`);
      return Boolean(response.end("[]"));
    }
    return false;
  };
  const env = { HF_TOKEN: "hf_secret" };
  expect(await failing({ env })).toBeInstanceOf(NoWeightsError);
  await resolve({ env });
  const byServer = (name: string) =>
    new Set(hub.seen.filter(({ server }) => server === name).map(({ authorization }) => authorization));
  expect(byServer("hub")).toEqual(new Set(["Bearer hf_secret"]));
  expect(byServer("store")).toEqual(new Set([undefined]));
  expect(hub.seen.some(({ path }) => path === "/elsewhere")).toBe(true);
});

test("the token may come from the file that logging in writes", async () => {
  await fs.writeFile(join(home, "token"), "hf_fromfile\n");
  await resolve();
  expect(hub.seen[0]?.authorization).toBe("Bearer hf_fromfile");
  const other = join(home, "other-token");
  await fs.writeFile(other, "hf_other");
  hub.seen.length = 0;
  await resolve({ env: { HF_TOKEN_PATH: other } });
  expect(hub.seen[0]?.authorization).toBe("Bearer hf_other");
});

test("settings that cannot be used are refused, and no secret is repeated", async () => {
  for (const endpoint of ["huggingface.co", "ftp://x", "http://user:hf_secret@127.0.0.1/"]) {
    const error = await failing({ env: { HF_ENDPOINT: endpoint } });
    expect(error).toBeInstanceOf(HubSettingsError);
    expect(error.message).not.toContain("hf_secret");
  }
  const error = await failing({ env: { HF_TOKEN: "hf_secret\r\nX: y" } });
  expect(error).toBeInstanceOf(HubSettingsError);
  expect(error.message).not.toContain("hf_secret");
  expect(hub.seen).toEqual([]);
});

test("a redirect from a safe to an unsafe address is not followed", async () => {
  const asked: string[] = [];
  const redirecting: typeof fetch = async (input) => {
    asked.push(String(input));
    return new Response(null, { status: 302, headers: { Location: "http://127.0.0.1:1/" } });
  };
  const error = await failing({ fetch: redirecting, env: { HF_ENDPOINT: "https://hub.example" } });
  expect(error).toBeInstanceOf(HubUnreachableError);
  expect(error.message).toContain("http:");
  expect(asked.every((url) => url.startsWith("https://hub.example/api/models/"))).toBe(true);
});

test("answers that are not the hub's", async () => {
  const answers = ["<html>Log in to the hotel's network</html>", "null", "{}", '{"sha":"../../x"}'];
  for (const answer of answers) {
    hub.intercept = (_request, response) =>
      Boolean(response.writeHead(200, { "Content-Type": "text/html" }).end(answer));
    expect(await failing(), answer).toBeInstanceOf(HubUnreachableError);
  }
  const entry = { type: "file", path: "config.json", size: 5, oid: gitHash(config) };
  for (const bad of [
    { ...entry, oid: "../../../evil" },
    { ...entry, size: -1 },
    { ...entry, path: 5 },
    { ...entry, lfs: { oid: "x" } },
  ]) {
    hub.intercept = ({ path }, response) => path.includes("/tree/") && Boolean(response.end(JSON.stringify([bad])));
    expect(await failing(), JSON.stringify(bad)).toBeInstanceOf(HubUnreachableError);
  }
  expect(await fs.readdir(home)).toEqual([]);
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

test("models whose weights cannot be had", async () => {
  const serve = (commit: Record<string, Buffer>) =>
    hub.repositories.set(ID, { branches: { main: COMMIT }, commits: { [COMMIT]: commit } });
  serve({ "config.json": config, "pytorch_model.bin": noise(2000, 3) });
  const pickle = await failing();
  expect(pickle).toBeInstanceOf(PickleRefusedError);
  expect(pickle.message).toContain("safe_serialization=True");
  serve({ "config.json": config, "model.gguf": noise(2000, 3) });
  expect(await failing()).toBeInstanceOf(NoWeightsError);
  serve({ "model.safetensors": weights });
  expect(await failing()).toBeInstanceOf(NoWeightsError);
  for (const shard of ["../../secret.safetensors", "model-00001-of-00001.safetensors"]) {
    serve({
      "config.json": config,
      "model.safetensors.index.json": Buffer.from(JSON.stringify({ weight_map: { w: shard } })),
    });
    expect(await failing()).toBeInstanceOf(CheckpointIndexError);
  }
  expect(hub.filesSeen().filter(({ path }) => /bin|gguf/.test(path))).toEqual([]);
});

test("a model that does not fit on the disk is not begun", async () => {
  hub.intercept = ({ path }, response) => {
    if (!path.includes("/tree/")) return false;
    const entry = (name: string, size: number) => ({ type: "file", path: name, size, oid: gitHash(Buffer.from(name)) });
    return Boolean(response.end(JSON.stringify([entry("config.json", 10), entry("model.safetensors", 2 ** 52)])));
  };
  const error = await failing();
  expect(error).toBeInstanceOf(DiskTooSmallError);
  expect(error.message).toContain("HF_HOME");
  expect(hub.filesSeen()).toEqual([]);
});

test("a cancelled download stops, says so, and is taken up later", async () => {
  const stop = new AbortController();
  const onProgress = ({ file, bytes }: DownloadProgress) => {
    if (file === "model.safetensors" && bytes > 20_000) stop.abort();
  };
  hub.cutAfter = (path) => (path === "model.safetensors" ? 50_000 : Number.POSITIVE_INFINITY);
  const error = await failing({ signal: stop.signal, onProgress });
  expect(error).toBeInstanceOf(DownloadCancelledError);
  expect(error.code).toBe("cancelled");
  expect(await failing({ signal: AbortSignal.abort() })).toBeInstanceOf(DownloadCancelledError);
  hub.cutAfter = () => Number.POSITIVE_INFINITY;
  hub.seen.length = 0;
  await resolve();
  expect(hub.seen.at(-1)?.range).toMatch(/^bytes=\d{5}-$/);
  await expectSnapshot(COMMIT, ownFiles());
});
