import { join } from "node:path";
import type { z } from "zod";
import { writeFileAtomically } from "../../common/atomic-file.ts";
import { parseJson } from "../../common/json.ts";
import { readTextFile } from "../../common/text-file.ts";

export async function writeJson(folder: string, name: string, value: unknown): Promise<void> {
  await writeFileAtomically(join(folder, name), `${JSON.stringify(value, undefined, 2)}\n`);
}

/** Reads and validates a JSON file of an earlier stage. Throws `ZodError` when it does not match the schema. */
export async function readJson<T>(folder: string, name: string, schema: z.ZodType<T>): Promise<T> {
  return schema.parse(parseJson(await readTextFile(join(folder, name), "stage output")));
}

export async function writeJsonLines(folder: string, name: string, values: readonly unknown[]): Promise<void> {
  await writeFileAtomically(join(folder, name), values.map((value) => `${JSON.stringify(value)}\n`).join(""));
}

export async function readJsonLines<T>(folder: string, name: string, schema: z.ZodType<T>): Promise<T[]> {
  const text = await readTextFile(join(folder, name), "stage output");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => schema.parse(parseJson(line)));
}
