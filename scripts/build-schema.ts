/** Writes schemas/*.schema.json and the tables of docs/experiment.md; a test fails when either is not what this gives. */
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { writeFileAtomically } from "../server/common/atomic-file.ts";
import { experimentJsonSchema } from "../server/pipeline/experiment/json-schema.ts";
import { sweepJsonSchema } from "../server/pipeline/sweep/json-schema.ts";
import { WrittenAblation } from "../server/protocol/ablation.ts";
import { withFieldTables } from "./experiment-fields.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
export const schemaFile = join(root, "schemas", "experiment.schema.json");
export const ablationSchemaFile = join(root, "schemas", "lfp-ablation.schema.json");
export const sweepSchemaFile = join(root, "schemas", "lfp-sweep.schema.json");
export const docsFile = join(root, "docs", "experiment.md");

/** The contents of the schema file. */
export function schemaText(): string {
  return `${JSON.stringify(experimentJsonSchema(), undefined, 2)}\n`;
}

/** The contents of the schema file of ablation sets. */
export function ablationSchemaText(): string {
  const { properties, ...schema } = z.toJSONSchema(WrittenAblation, { io: "input" });
  // Editors write it into the file; to the set it means nothing.
  const withSchema = { ...schema, properties: { $schema: { type: "string" }, ...properties } };
  return `${JSON.stringify(withSchema, undefined, 2)}\n`;
}

/** The contents of the schema file of sweeps. */
export function sweepSchemaText(): string {
  return `${JSON.stringify(sweepJsonSchema(), undefined, 1)}\n`;
}

async function buildSchema(): Promise<void> {
  await mkdir(join(root, "schemas"), { recursive: true });
  await writeFileAtomically(schemaFile, schemaText());
  await writeFileAtomically(ablationSchemaFile, ablationSchemaText());
  await writeFileAtomically(sweepSchemaFile, sweepSchemaText());
  await writeFileAtomically(docsFile, withFieldTables(await readFile(docsFile, "utf8")));
}

if (import.meta.main) await buildSchema();
