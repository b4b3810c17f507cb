/**
 * The results of `lfp tune` on this machine: one file per adapter, with the kernels that are faster than the built-in
 * table's. It is small, can be deleted at any time, and is ignored after the kernels have changed.
 */

import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import type { Tuned } from "../../kernels/matmul/choose.ts";
import { kernelRevision } from "../../kernels/matmul/variants.ts";
import { writeFileAtomically } from "./atomic-file.ts";
import { LfpError, messageOf } from "./errors.ts";
import { parseJson, tryJson } from "./json.ts";
import { schemaProblems } from "./schema-problems.ts";
import { readTextFile } from "./text-file.ts";

/** A tuning file is invalid. */
export class TuningFileError extends LfpError {
  readonly code = "input";

  constructor(path: string, problem: string) {
    super(`${path} does not hold what \`lfp tune\` writes: ${problem}. Delete it, or run \`lfp tune\` again`);
  }
}

/** Identifies an adapter; a new driver can be another adapter, since its compiler is. */
export interface AdapterName {
  readonly vendor: string;
  readonly architecture: string;
  readonly description: string;
  readonly driver: string;
}

const extent = z.int().positive();
const tile = z.strictObject({ rows: extent, columns: extent, inner: extent, perRow: extent, perColumn: extent });
const config = z.strictObject({
  componentType: z.string(),
  resultComponentType: z.string(),
  M: extent,
  N: extent,
  K: extent,
});
const matrixTile = z.strictObject({
  config,
  subgroups: z.tuple([extent, extent]).readonly(),
  fragments: z.tuple([extent, extent]).readonly(),
  inner: extent,
  subgroupSize: extent,
  pinned: z.boolean(),
});
const variant = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("tiles"), tile, splits: extent }),
  z.strictObject({
    kind: z.literal("matrices"),
    tile: matrixTile,
    precision: z.enum(["f32", "half", "split"]),
    splits: extent,
  }),
]);
const tuningFile = z.object({ revision: z.int(), adapter: z.string(), products: z.record(z.string(), variant) });

/** `gpu/NAME.json` in the user's state folder. */
export function tuningPath(stateFolder: string, { vendor, architecture, description, driver }: AdapterName): string {
  const name = [vendor, architecture, description, driver]
    .join(" ")
    .toLowerCase()
    .replaceAll(/[^a-z0-9.]+/g, "-");
  return join(stateFolder, "gpu", `${name.replaceAll(/^[-.]+|-+$/g, "").slice(0, 120)}.json`);
}

/**
 * The results for an adapter; empty if it was not tuned, or the kernels have changed since. Throws `TuningFileError`.
 */
export async function readTuning(stateFolder: string, adapter: AdapterName): Promise<Tuned> {
  const path = tuningPath(stateFolder, adapter);
  const text = await readTextFile(path, "record").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw new TuningFileError(path, messageOf(error));
  });
  if (text === undefined) return {};
  const parsed = tuningFile.safeParse(jsonOf(path, text));
  if (!parsed.success) throw new TuningFileError(path, schemaProblems(parsed.error));
  return parsed.data.revision === kernelRevision ? parsed.data.products : {};
}

/** Merges results into the earlier ones. Returns the file's path. */
export async function writeTuning(stateFolder: string, adapter: AdapterName, tuned: Tuned): Promise<string> {
  const path = tuningPath(stateFolder, adapter);
  const before = await readTuning(stateFolder, adapter).catch((error: unknown) => {
    if (error instanceof TuningFileError) return {};
    throw error;
  });
  await mkdir(dirname(path), { recursive: true });
  const contents = { revision: kernelRevision, adapter: adapter.description, products: { ...before, ...tuned } };
  await writeFileAtomically(path, `${JSON.stringify(contents, undefined, 1)}\n`);
  return path;
}

/** Variants to skip: `lfp tune` ended while it tried them. Stored beside the results, for the current kernels only. */
const attempts = z.object({ revision: z.int(), trying: z.string().nullable(), crashed: z.array(z.string()) });

/** A journal of tried variants, so that a later run skips a variant that crashed the process or the machine. */
export class TuningAttempts {
  readonly path: string;
  readonly #crashed: string[];

  private constructor(path: string, crashed: string[]) {
    this.path = path;
    this.#crashed = crashed;
  }

  /** Reads the journal; the variant that it marks as being tried counts as crashed. Replaces an unreadable journal. */
  static async open(stateFolder: string, adapter: AdapterName): Promise<TuningAttempts> {
    const path = tuningPath(stateFolder, adapter).replace(/\.json$/, ".attempts.json");
    const text = await readTextFile(path, "record").catch(() => "");
    const parsed = attempts.safeParse(text === "" ? undefined : tryJson(text));
    if (!parsed.success || parsed.data.revision !== kernelRevision) return new TuningAttempts(path, []);
    const { trying, crashed } = parsed.data;
    return new TuningAttempts(path, [...new Set([...crashed, ...(trying === null ? [] : [trying])])]);
  }

  hasCrashed(attempt: string): boolean {
    return this.#crashed.includes(attempt);
  }

  /** Records a variant on disk before it is run. */
  async begin(attempt: string): Promise<void> {
    await this.#write(attempt);
  }

  /** Records that the attempt has ended, with or without an error. */
  async end(): Promise<void> {
    await this.#write(null);
  }

  async #write(trying: string | null): Promise<void> {
    await mkdir(dirname(this.path), { recursive: true });
    await writeFileAtomically(
      this.path,
      `${JSON.stringify({ revision: kernelRevision, trying, crashed: this.#crashed })}\n`,
    );
  }
}

function jsonOf(path: string, text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    throw new TuningFileError(path, messageOf(error));
  }
}
