import * as fs from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { gitHash, sha256 } from "../../test/support/fake-hub.ts";
import {
  blobs,
  COMMIT,
  expectSnapshot,
  failing,
  files,
  hub,
  ID,
  noise,
  ownFiles,
  repoFolder,
  resolve,
  useHubModel,
  weights,
} from "../../test/support/hub-model.ts";
import { isReadFromWeights } from "./classifiers/kinds.ts";
import {
  DiskTooSmallError,
  DownloadCancelledError,
  DownloadDamagedError,
  HubUnreachableError,
  NotCachedError,
} from "./hub/errors.ts";
import type { DownloadProgress } from "./hub.ts";
import { NoWeightsError } from "./safetensors.ts";

useHubModel();

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

test("named chat templates come with a model, other files of folders do not", async () => {
  const more = { "additional_chat_templates/tool_use.jinja": "tools", "additional_chat_templates/a.txt": "no" };
  const added = Object.entries({ ...more, "onnx/model.onnx": "no" }).map(([path, text]) => [path, Buffer.from(text)]);
  const commits = { [COMMIT]: { ...files, ...Object.fromEntries(added) } };
  hub.repositories.set(ID, { branches: { main: COMMIT }, commits });
  const { folder } = await resolve();
  const names = (await fs.readdir(folder, { recursive: true })).filter((name) => name.includes("/"));
  expect(names).toEqual(["additional_chat_templates/tool_use.jinja"]);
  expect(await fs.readFile(join(folder, "additional_chat_templates/tool_use.jinja"), "utf8")).toBe("tools");
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

test("a classifier without safetensors comes as its ONNX file with the weights beside it, where the caller takes one", async () => {
  const small = ["config.json", "tokenizer.json", "tokenizer_config.json"] as const;
  const stored = {
    ...Object.fromEntries(small.map((name) => [name, files[name]])),
    "onnx/model.onnx": noise(3000, 8),
    "onnx/model.onnx_data": noise(4000, 9),
    "onnx/model_quantized.onnx": noise(2000, 10),
  };
  hub.repositories.set(ID, { branches: { main: COMMIT }, commits: { [COMMIT]: stored } });
  expect(await failing()).toBeInstanceOf(NoWeightsError);
  const { folder } = await resolve({ onnxUnless: isReadFromWeights });
  expect((await fs.readdir(join(folder, "onnx"))).sort()).toEqual(["model.onnx", "model.onnx_data"]);
  expect(await fs.readFile(join(folder, "onnx/model.onnx"))).toEqual(stored["onnx/model.onnx"]);
  expect(await resolve({ onnxUnless: isReadFromWeights, download: false })).toMatchObject({ folder, source: "cache" });
  expect(await failing({ download: false })).toBeInstanceOf(NotCachedError);
});

test.each([
  { type: "electra", read: "onnx/model.onnx", not: "model.safetensors" },
  { type: "distilbert", read: "model.safetensors", not: "onnx/model.onnx" },
])("of a classifier of type $type that has both, only $read is fetched", async ({ type, read, not }) => {
  const config = Buffer.from(JSON.stringify({ model_type: type }));
  const stored = { ...files, "config.json": config, "onnx/model.onnx": noise(3000, 8) };
  hub.repositories.set(ID, { branches: { main: COMMIT }, commits: { [COMMIT]: stored } });
  const { folder } = await resolve({ onnxUnless: isReadFromWeights });
  const fetched = hub.filesSeen().map(({ path }) => path);
  expect(fetched.some((path) => path.endsWith(read))).toBe(true);
  expect(fetched.some((path) => path.endsWith(not))).toBe(false);
  expect(await fs.readFile(join(folder, read))).toEqual(stored[read as keyof typeof stored]);
  expect(await resolve({ onnxUnless: isReadFromWeights, download: false })).toMatchObject({ folder, source: "cache" });
});

test("safetensors that would not be read do not stand for the ONNX file, which a download adds", async () => {
  const stored = { ...files, "config.json": Buffer.from('{"model_type": "electra"}') };
  hub.repositories.set(ID, { branches: { main: COMMIT }, commits: { [COMMIT]: stored } });
  const { folder } = await resolve();
  expect(await resolve({ onnxUnless: isReadFromWeights, download: false })).toMatchObject({ folder, source: "cache" });
  const both = { ...stored, "onnx/model.onnx": noise(3000, 8) };
  hub.repositories.set(ID, { branches: { main: COMMIT }, commits: { [COMMIT]: both } });
  await resolve({ onnxUnless: isReadFromWeights });
  expect(await fs.readFile(join(folder, "onnx/model.onnx"))).toEqual(both["onnx/model.onnx"]);
});
