import { stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { writeFileAtomically } from "../common/atomic-file.ts";
import { InternalError } from "../common/errors.ts";
import { byCodeUnit } from "../common/order.ts";
import { seal, unseal } from "./canonical-json.ts";
import {
  type Checksum,
  checksumOf,
  type FileSystem,
  listFiles,
  moveDurably,
  syncTree,
  textIfThere,
  unlessMissing,
} from "./files.ts";
import { contentDigest } from "./stage-key.ts";

/** A finished stage's output on disk. */
export interface StageOutput {
  readonly folder: string;
  readonly manifest: OutputManifest;
}

const InputRecord = z.object({
  /** Digest of the input's contents, as it went into the key. */
  digest: z.string(),
  /** For a stage's output: its name and key. */
  stage: z.string().optional(),
  key: z.string().optional(),
  /** For an input from outside the run: its path. */
  path: z.string().optional(),
});

/**
 * An output's `manifest.json`: its identity, inputs and files. It does not depend on when or how often the work was
 * interrupted, so that equal work gives equal manifests; `receipt.json` beside it records that.
 */
export const OutputManifest = z.object({
  format: z.literal(1),
  stage: z.string(),
  codeVersion: z.int(),
  key: z.string(),
  settings: z.unknown(),
  seed: z.number(),
  deviceClass: z.string(),
  inputs: z.record(z.string(), InputRecord),
  /** Of the program, of Node, of the platform. */
  versions: z.record(z.string(), z.string()),
  files: z.array(z.object({ path: z.string(), size: z.int(), sha256: z.string() })),
  /** Digest of the files without the log: what the keys of later stages are made from. */
  digest: z.string(),
});
export type OutputManifest = z.infer<typeof OutputManifest>;

const Receipt = z.object({
  format: z.literal(1),
  startedAt: z.string(),
  finishedAt: z.string(),
  workedMs: z.number(),
  host: z.string(),
  /** Modification times; the `fast` check trusts an unchanged file without reading it. */
  modifiedMs: z.record(z.string(), z.number()),
});
export type Receipt = z.infer<typeof Receipt>;

/** The stage's part of `log.jsonl`, kept with its output so that the output can be reused elsewhere with its log. */
export const OUTPUT_LOG = "log.jsonl";
const MANIFEST = "manifest.json";
const RECEIPT = "receipt.json";

/**
 * Turns the folder that a stage has filled into a finished output at `to`: adds its log, computes checksums, flushes
 * everything to disk and renames the folder into place.
 */
export async function commitOutput(commit: {
  readonly from: string;
  readonly to: string;
  readonly identity: Omit<OutputManifest, "format" | "files" | "digest">;
  readonly log: Uint8Array;
  readonly receipt: Omit<Receipt, "format" | "modifiedMs">;
  readonly files: FileSystem;
}): Promise<StageOutput> {
  const { from, to, files } = commit;
  const written = await listFiles(from);
  const reserved = written.find((path) => [MANIFEST, RECEIPT, OUTPUT_LOG].includes(path));
  if (reserved !== undefined)
    throw new InternalError(`stage ${commit.identity.stage} wrote ${reserved}, a reserved name.`);

  await writeFileAtomically(join(from, OUTPUT_LOG), commit.log, files);
  const entries: OutputManifest["files"] = [];
  const modifiedMs: Record<string, number> = {};
  for (const path of [...written, OUTPUT_LOG].sort(byCodeUnit)) {
    entries.push({ path, ...(await checksumOf(join(from, path))) });
    modifiedMs[path] = (await stat(join(from, path))).mtimeMs;
  }
  const digest = contentDigest(entries.filter(({ path }) => path !== OUTPUT_LOG));
  const manifest: OutputManifest = { format: 1, ...commit.identity, files: entries, digest };
  await writeFileAtomically(join(from, RECEIPT), seal({ format: 1, ...commit.receipt, modifiedMs }), files);
  await writeFileAtomically(join(from, MANIFEST), seal(manifest), files);
  await syncTree(from, files);
  await moveDurably(from, to, files);
  return { folder: to, manifest };
}

/**
 * The output in a folder: `undefined` if the folder is missing, a description of the problem if it is damaged. `fast`
 * trusts a file whose size and modification time are those of the receipt and reads the others; `full` reads them all.
 */
export async function openOutput(
  folder: string,
  key: string,
  check: "fast" | "full",
): Promise<StageOutput | string | undefined> {
  if ((await unlessMissing(stat(folder))) === undefined) return undefined;
  const manifest = await readSealed(join(folder, MANIFEST), OutputManifest);
  if (manifest === undefined) return `${MANIFEST} is missing or does not verify`;
  if (manifest.key !== key) return `${MANIFEST} belongs to another output`;
  const receipt = check === "fast" ? await readSealed(join(folder, RECEIPT), Receipt) : undefined;
  for (const file of manifest.files) {
    const problem = await problemWith(join(folder, file.path), file, receipt?.modifiedMs[file.path]);
    if (problem !== undefined) return `${file.path} ${problem}`;
  }
  return { folder, manifest };
}

/** Paths of every file in an output's folder, those that describe it too. */
export function allFilesOf({ files }: OutputManifest): string[] {
  return [...files.map(({ path }) => path), MANIFEST, RECEIPT];
}

async function problemWith(path: string, expected: Checksum, modifiedMs?: number): Promise<string | undefined> {
  const found = await unlessMissing(stat(path));
  if (found === undefined) return "is missing";
  if (found.size !== expected.size) return `has ${found.size} bytes, expected ${expected.size}`;
  if (found.mtimeMs === modifiedMs) return undefined;
  return (await checksumOf(path)).sha256 === expected.sha256 ? undefined : "does not match its checksum";
}

async function readSealed<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const text = await textIfThere(path, "stage output");
  return text === undefined ? undefined : schema.safeParse(unseal(text)).data;
}
