import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { type FileContents, writeFileAtomically } from "../common/atomic-file.ts";
import { InternalError, LfpError, messageOf } from "../common/errors.ts";
import type { RandomState } from "../common/random.ts";
import { readWholeFile } from "../common/text-file.ts";
import { seal, unseal } from "./canonical-json.ts";
import {
  type Checksum,
  checksumOf,
  type FileSystem,
  moveDurably,
  remove,
  textIfThere,
  unlessMissing,
} from "./files.ts";
import type { Checkpoint, CheckpointContent } from "./stage.ts";

/** A checkpoint as the run machinery sees it: the stage's own part, and what the machinery saves for the stage. */
export interface StoredCheckpoint {
  readonly checkpoint: Checkpoint;
  /** 1, 2, 3 ... over the whole life of the stage. */
  readonly generation: number;
  readonly random: RandomState;
  /** The stage's part of `log.jsonl` up to here. */
  readonly log: Uint8Array;
  /** Time worked on the stage up to here, over all attempts. */
  readonly workedMs: number;
}

export interface CheckpointToSave extends Pick<StoredCheckpoint, "random" | "log" | "workedMs"> {
  readonly content: CheckpointContent;
}

/** The checkpoint could not be written; earlier ones are kept. */
export class CheckpointNotSavedError extends LfpError {
  readonly code = "resource";

  constructor(generation: number, cause: unknown) {
    super(
      `checkpoint ${generation} could not be saved; the one before it is kept and the run can go on from it. ${messageOf(cause)}`,
      { cause },
    );
  }
}

/**
 * The checkpoints of one unfinished stage: `folder/<generation>/` with the stage's files, its log and a sealed manifest
 * with a checksum of each. A generation is written to a temporary folder and renamed, so it is complete or absent; the
 * last two are kept. Checksums are verified before use: data that does not verify is never loaded.
 */
export class CheckpointStore {
  readonly #folder: string;
  readonly #key: string;
  readonly #files: FileSystem;
  #newest = 0;

  /** `key` is the stage's key; checkpoints with another key are rejected. */
  constructor(folder: string, key: string, files: FileSystem) {
    this.#folder = folder;
    this.#key = key;
    this.#files = files;
  }

  /**
   * The newest checkpoint that verifies, or `undefined` for a fresh start. Calls `onDamaged` for every damaged one and
   * removes it, so that it does not count among the two that are kept.
   */
  async load(onDamaged: (message: string) => void): Promise<StoredCheckpoint | undefined> {
    await this.#files.mkdir(this.#folder, { recursive: true });
    const generations = await this.#sweep();
    this.#newest = generations[0] ?? 0;
    for (const generation of generations) {
      const result = await readCheckpoint(this.#pathOf(generation), generation, this.#key);
      if (typeof result !== "string") return result;
      const rest = generations.filter((other) => other < generation);
      const next = rest[0] === undefined ? "the stage starts again" : `checkpoint ${rest[0]} is used`;
      onDamaged(`Checkpoint ${generation} is damaged (${result}); ${next}.`);
      await this.#discard(generation);
    }
    return undefined;
  }

  /** Saves the next generation and removes all but the last two. Throws `CheckpointNotSavedError`. */
  async save(checkpoint: CheckpointToSave): Promise<number> {
    const generation = this.#newest + 1;
    const aside = join(this.#folder, ".saving");
    try {
      await remove(aside, this.#files);
      await this.#files.mkdir(aside);
      await this.#write(aside, generation, checkpoint);
      await moveDurably(aside, this.#pathOf(generation), this.#files);
      this.#newest = generation;
      for (const old of (await generationsIn(this.#folder)).slice(KEPT)) await this.#discard(old);
      return generation;
    } catch (error) {
      // Frees the disk space; the first failure is the one to report.
      await remove(aside, this.#files).catch(() => undefined);
      if (error instanceof InternalError) throw error;
      throw new CheckpointNotSavedError(generation, error);
    }
  }

  async #write(aside: string, generation: number, { content, random, log, workedMs }: CheckpointToSave): Promise<void> {
    const contents: [string, FileContents][] = [[LOG, log], ...Object.entries(content.files ?? {})];
    const checksums: Record<string, Checksum> = {};
    for (const [name, data] of contents) {
      if (!FILE_NAME.test(name) || name === MANIFEST || name in checksums) {
        throw new InternalError(`${name} cannot name a file of a checkpoint: use letters, digits, ".", "_" and "-".`);
      }
      const digested = new Digested(data);
      await writeFileAtomically(join(aside, name), digested.chunks(), this.#files);
      checksums[name] = digested.checksum();
    }
    const manifest = {
      format: 1,
      key: this.#key,
      generation,
      state: content.state,
      random,
      workedMs,
      files: checksums,
    };
    await writeFileAtomically(join(aside, MANIFEST), seal(manifest), this.#files);
  }

  /** Removes what an interrupted save left behind; returns the generations, newest first. */
  async #sweep(): Promise<number[]> {
    for (const name of await readdir(this.#folder)) {
      if (!GENERATION.test(name)) await remove(join(this.#folder, name), this.#files);
    }
    return generationsIn(this.#folder);
  }

  /** Removes a generation, renaming it first: an interruption then leaves no half checkpoint that looks damaged. */
  async #discard(generation: number): Promise<void> {
    const discarded = join(this.#folder, ".discarded");
    await remove(discarded, this.#files);
    await this.#files.rename(this.#pathOf(generation), discarded);
    await remove(discarded, this.#files);
  }

  #pathOf(generation: number): string {
    return join(this.#folder, String(generation).padStart(6, "0"));
  }
}

const KEPT = 2;
const MANIFEST = "manifest.json";
const LOG = "log.jsonl";
const FILE_NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$/;
const GENERATION = /^\d{6,}$/;

const Manifest = z.object({
  format: z.literal(1),
  key: z.string(),
  generation: z.int(),
  state: z.unknown(),
  random: z.tuple([z.int(), z.int(), z.int(), z.int()]),
  workedMs: z.number(),
  files: z.record(z.string(), z.object({ size: z.int(), sha256: z.string() })),
});

/**
 * The checkpoint in a folder, or the reason why it does not verify. Throws only for errors that say nothing about the
 * bytes, such as EIO.
 */
async function readCheckpoint(folder: string, generation: number, key: string): Promise<StoredCheckpoint | string> {
  const text = await textIfThere(join(folder, MANIFEST), "stage output");
  if (text === undefined) return `${MANIFEST} is missing`;
  const parsed = Manifest.safeParse(unseal(text));
  if (!parsed.success) return `${MANIFEST} does not verify`;
  const { files, random, state, workedMs } = parsed.data;
  if (parsed.data.key !== key || parsed.data.generation !== generation)
    return `${MANIFEST} belongs to another checkpoint`;
  for (const [name, expected] of Object.entries(files)) {
    const actual = await unlessMissing(checksumOf(join(folder, name)));
    if (actual === undefined) return `${name} is missing`;
    if (actual.size !== expected.size) return `${name} has ${actual.size} bytes, expected ${expected.size}`;
    if (actual.sha256 !== expected.sha256) return `${name} does not match its checksum`;
  }
  const read = (name: string) => {
    if (!Object.hasOwn(files, name)) throw new InternalError(`checkpoint ${generation} holds no file ${name}.`);
    return readWholeFile(join(folder, name), "checkpoint");
  };
  const fileNames = Object.keys(files).filter((name) => name !== LOG);
  return { checkpoint: { state, fileNames, read }, generation, random, log: await read(LOG), workedMs };
}

async function generationsIn(folder: string): Promise<number[]> {
  const names = await readdir(folder);
  return names
    .filter((name) => GENERATION.test(name))
    .map(Number)
    .sort((a, b) => b - a);
}

/** Computes the checksum of contents while they are streamed. */
class Digested {
  readonly #contents: FileContents;
  readonly #hash = createHash("sha256");
  #size = 0;

  constructor(contents: FileContents) {
    this.#contents = contents;
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    const contents = this.#contents;
    const chunks =
      typeof contents === "string" ? [Buffer.from(contents)] : contents instanceof Uint8Array ? [contents] : contents;
    for await (const chunk of chunks) {
      this.#hash.update(chunk);
      this.#size += chunk.byteLength;
      yield chunk;
    }
  }

  checksum(): Checksum {
    return { size: this.#size, sha256: this.#hash.digest("hex") };
  }
}
