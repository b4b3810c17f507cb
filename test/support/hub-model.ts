/** A small model on a stand-in for the hub, and a cache of its own, for each test of a file. */
import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect } from "vitest";
import { Random } from "../../server/common/random.ts";
import { type ResolvedModel, type ResolveOptions, resolveModel } from "../../server/models/hub.ts";
import { FakeHub } from "./fake-hub.ts";

export const ID = "Some-Owner/tiny_model.v1";
export const COMMIT = "a".repeat(40);
export const NEWER = "b".repeat(40);

export const config = Buffer.from('{"model_type":"gpt_neox"}');
export const tokenizer = noise(5000, 1);
export const weights = noise(300_000, 2);
/** What the model's repository holds; the first seven are what a download brings. */
export const files = {
  "config.json": config,
  "tokenizer.json": tokenizer,
  "tokenizer_config.json": Buffer.from("{}"),
  "chat_template.jinja": Buffer.from("{{ messages[0].content }}"),
  "special_tokens_map.json": Buffer.from('{"eos_token":"x"}'),
  "generation_config.json": Buffer.alloc(0),
  "model.safetensors": weights,
  "pytorch_model.bin": noise(2000, 3),
  "tf_model.h5": noise(2000, 4),
  "model.fp16.safetensors": noise(2000, 5),
  "README.md": Buffer.from("# A model"),
  "modeling_custom.py": Buffer.from("print('no')"),
};
export const needed = Object.keys(files).slice(0, 7);

/** Those of the present test. */
export let hub: FakeHub;
export let home = "";
export let repoFolder = "";

/** Makes hub and cache before each test of the file that calls this, and takes them away after it. */
export function useHubModel(): void {
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
}

export function options(more: Partial<ResolveOptions> & { env?: Record<string, string> } = {}): ResolveOptions {
  const patience = { retries: 2, retryDelayMs: 1, silenceMs: 5000 };
  return { download: true, patience, ...more, env: { HF_ENDPOINT: hub.endpoint, HF_HOME: home, ...more.env } };
}

export function resolve(more?: Parameters<typeof options>[0], reference = ID): Promise<ResolvedModel> {
  return resolveModel(reference, options(more));
}

/** The error, for tests to look at; undefined where there is none. */
export const failing = (more?: Parameters<typeof options>[0], reference = ID) =>
  resolve(more, reference).then(
    () => undefined,
    (e) => e,
  );

export function noise(bytes: number, seed: number): Buffer {
  const random = Random.fromSeed(seed);
  return Buffer.from(Uint8Array.from({ length: bytes }, () => random.uint32()));
}

export async function expectSnapshot(commit: string, expected: Record<string, Buffer>): Promise<void> {
  const folder = join(repoFolder, "snapshots", commit);
  expect(new Set(await fs.readdir(folder))).toEqual(new Set(Object.keys(expected)));
  for (const [name, bytes] of Object.entries(expected)) {
    expect((await fs.readFile(join(folder, name))).equals(bytes), name).toBe(true);
  }
}

export const blobs = () => fs.readdir(join(repoFolder, "blobs"));
export const ownFiles = () => Object.fromEntries(Object.entries(files).filter(([name]) => needed.includes(name)));
