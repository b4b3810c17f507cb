import { join } from "node:path";
import { z } from "zod";
import { openSafetensors, writeSafetensors } from "../../models/safetensors.ts";
import type { LayerSpan, SpanFeatures } from "../../probe/features.ts";
import { rowMatrix } from "../../statistics/linear-algebra.ts";
import { readJson, writeJson } from "./json-files.ts";

/** Files of the stages that collect features of answers. */
const numbersFile = "features.safetensors";
const answersFile = "answers.json";

const spans = z.array(z.object({ layer: z.int(), start: z.int(), end: z.int() }));
const answersSchema = z.object({
  contrasts: z.int(),
  /** Number of each answer's tokens. */
  tokens: z.array(z.int().min(0)),
  /** Number of answers that were cut, themselves or their prompts. */
  cut: z.int(),
  features: spans,
  activations: spans,
});

/**
 * Features of answers in the order of `spansOf` their contrasts, means over each answer's tokens; as the published code
 * takes them, without the neutral ones and over padding too.
 */
export interface CollectedAnswers {
  readonly contrasts: number;
  readonly tokens: Int32Array;
  readonly cut: number;
  /** Features of the small dictionaries, and the activations that they encode. */
  readonly features: SpanFeatures;
  readonly activations: SpanFeatures;
}

export async function writeAnswers(folder: string, collected: CollectedAnswers): Promise<void> {
  const { contrasts, tokens, cut, features, activations } = collected;
  await writeSafetensors(
    join(folder, numbersFile),
    Object.entries({ features, activations }).map(([name, { rows }]) => ({
      name,
      dtype: "F32" as const,
      shape: [rows.rows, rows.columns],
      data: Float32Array.from(rows.data),
    })),
  );
  await writeJson(folder, answersFile, {
    contrasts,
    tokens: [...tokens],
    cut,
    features: features.layers,
    activations: activations.layers,
  });
}

export async function readAnswers(folder: string): Promise<CollectedAnswers> {
  const read = await readJson(folder, answersFile, answersSchema);
  await using file = await openSafetensors(join(folder, numbersFile));
  const of = async (name: string, own: readonly LayerSpan[]): Promise<SpanFeatures> => ({
    layers: own,
    rows: rowMatrix(await file.readFloat32(name), read.tokens.length, own.at(-1)?.end ?? 0),
  });
  return {
    contrasts: read.contrasts,
    tokens: Int32Array.from(read.tokens),
    cut: read.cut,
    features: await of("features", read.features),
    activations: await of("activations", read.activations),
  };
}
