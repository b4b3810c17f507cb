/**
 * The rows that Neuronpedia imports, one schema a table. Sources: the tables in apps/webapp/prisma/schema.prisma of
 * github.com/hijohnnylin/neuronpedia (commit 008d5040), its importer apps/webapp/lib/db/import.ts (commit efd6e355), which
 * takes a file's columns from its first line, and the writer of the same files in SAEDashboard, whose fields these are.
 */
import { z } from "zod";

/** Postgres stores neither the character U+0000 nor half a surrogate pair. */
const text = z.string().refine((value) => value.isWellFormed() && !value.includes("\0"), {
  error: "holds a character that the database does not store",
});
/** Ids become parts of addresses there. */
const id = z.string().regex(/^[a-z0-9][a-z0-9_.-]{0,127}$/);
const rowId = z.string().regex(/^c[a-z0-9]{24}$/);
const number = z.number().finite();
const numbers = z.array(number);
const time = z.iso.datetime();
const visibility = z.enum(["PUBLIC", "UNLISTED", "PRIVATE"]);

/** What names a feature in every table. `layer` is the id of a source: `3-mlp-quick-128`. */
const feature = { modelId: id, layer: id, index: z.string().regex(/^\d{1,7}$/) };

export const releaseRow = z.strictObject({
  name: id,
  description: text,
  descriptionShort: text,
  urls: z.array(text),
  creatorName: text,
  creatorNameShort: text,
  creatorId: text,
  visibility,
  createdAt: time,
});

export const modelRow = z.strictObject({
  id,
  displayName: text,
  displayNameShort: text,
  creatorId: text,
  visibility,
  inferenceEnabled: z.boolean(),
  instruct: z.boolean(),
  layers: z.int().min(0),
  /** 0, as SAEDashboard writes it: the sources are dictionaries, not neurons. */
  neuronsPerLayer: z.literal(0),
  owner: text,
  createdAt: time,
  updatedAt: time,
});

export const sourceSetRow = z.strictObject({
  modelId: id,
  name: id,
  hasDashboards: z.boolean(),
  visibility,
  description: text,
  type: text,
  creatorName: text,
  urls: z.array(text),
  creatorId: text,
  releaseName: id,
  createdAt: time,
});

export const sourceRow = z.strictObject({
  id,
  modelId: id,
  setName: id,
  creatorId: text,
  hasDashboards: z.boolean(),
  inferenceEnabled: z.boolean(),
  visibility,
  /** cfg.json of the dictionary. */
  saelensConfig: z.record(z.string(), z.unknown()),
  hfRepoId: text.nullable(),
  hfFolderId: text.nullable(),
  num_tokens_in_prompt: z.int().positive(),
  dataset: text,
  notes: text,
  createdAt: time,
});

export const featureRow = z.strictObject({
  ...feature,
  sourceSetName: id,
  creatorId: text,
  createdAt: time,
  maxActApprox: number,
  hasVector: z.literal(false),
  hookName: text,
  neg_str: z.array(text),
  neg_values: numbers,
  pos_str: z.array(text),
  pos_values: numbers,
  frac_nonzero: number.min(0).max(1),
  freq_hist_data_bar_heights: numbers,
  freq_hist_data_bar_values: numbers,
});

export const activationRow = z
  .strictObject({
    id: rowId,
    ...feature,
    tokens: z.array(text).min(1),
    values: numbers,
    maxValue: number,
    maxValueTokenIndex: z.int().min(0),
    minValue: number,
    /** -1 for one of the strongest; otherwise the bounds of its quarter, and the quarter's share. */
    binMin: number,
    binMax: number,
    binContains: number,
    qualifyingTokenIndex: z.int().min(0),
    creatorId: text,
    createdAt: time,
  })
  .refine(({ tokens, values }) => tokens.length === values.length, { error: "has as many values as tokens" });

export const explanationRow = z.strictObject({
  id: rowId,
  ...feature,
  description: text,
  authorId: text,
  /** Who explained, and the explanation's score. */
  notes: text,
  /** Null: these name rows of tables that an import does not fill. */
  typeName: z.null(),
  explanationModelName: z.null(),
  createdAt: time,
  updatedAt: time,
});
