/**
 * A run's features in the files that Neuronpedia imports: MODEL/SOURCE/ with release.jsonl, model.jsonl, sourceset.jsonl,
 * source.jsonl, and features/, activations/ and explanations/ in batches of gzipped JSON Lines. A source is a dictionary.
 */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { z } from "zod";
import { writeFileAtomically } from "../../../common/atomic-file.ts";
import { Pacer } from "../../../common/pacer.ts";
import { featureId } from "../../../protocol/ablation.ts";
import type { FeatureDetail } from "../../../protocol/features.ts";
import { FeatureStore } from "../../../store/store.ts";
import { readDictionaries } from "../../artifacts/autoencoders.ts";
import { storeToRead } from "../living-store.ts";
import { DICTIONARIES, type FinishedRun, RunNotExportableError } from "./finished-run.ts";
import { aboutFiles, dictionaryThere, type NeuronpediaOptions, runThere } from "./neuronpedia-about.ts";
import { activationsOf, explanationsOf, type FeaturePlaceThere, featureOf } from "./neuronpedia-features.ts";
import { activationRow, explanationRow, featureRow } from "./neuronpedia-rows.ts";

/** The user of Neuronpedia to whom SAEDashboard's exports belong unless they say otherwise. */
export const usualCreator = "clkht01d40000jv08hvalcvly";

const FEATURES_A_BATCH = 256;

/** Writes a run's features into an empty folder. Returns notes for the person. Throws what reading the run throws. */
export async function writeNeuronpedia(
  run: FinishedRun,
  folder: string,
  options: NeuronpediaOptions,
): Promise<string[]> {
  using store = FeatureStore.open(await storeToRead(run.folder), { writable: false });
  const own = store.describe().dictionaries;
  const exported = (await readDictionaries(join(run.folder, DICTIONARIES))).filter(({ model, size, layer }) =>
    own.some((one) => one.model === model && one.size === size && one.layers.includes(layer)),
  );
  if (exported.length === 0)
    throw new RunNotExportableError(run.folder, "its feature store has none of its dictionaries.");
  const there = await runThere(run, options);
  const pacer = new Pacer(options.signal);
  for (const dictionary of exported) {
    const names = dictionaryThere(there, dictionary);
    const place = join(folder, names.modelId, names.layer);
    await mkdir(place, { recursive: true });
    for (const [name, schema, row] of await aboutFiles(there, dictionary))
      await writeFileAtomically(join(place, name), linesOf(schema, [row]));
    for (let first = 0; first < dictionary.F; first += FEATURES_A_BATCH) {
      const details: FeatureDetail[] = [];
      for (let feature = first; feature < Math.min(first + FEATURES_A_BATCH, dictionary.F); feature++) {
        const detail = store.detail(featureId({ ...dictionary, feature }));
        if (detail !== undefined) details.push(detail);
        await pacer.pause();
      }
      await writeBatch(place, `batch-${first / FEATURES_A_BATCH}`, names, details);
    }
  }
  const { damagedRows } = store;
  return [
    "activations/ holds stretches of your texts",
    ...(damagedRows > 0 ? [`${damagedRows} damaged rows of the feature store were left out`] : []),
  ];
}

const zipped = promisify(gzip);

async function writeBatch(
  place: string,
  name: string,
  names: FeaturePlaceThere,
  details: readonly FeatureDetail[],
): Promise<void> {
  const tables: readonly (readonly [string, z.ZodType, readonly unknown[]])[] = [
    ["features", featureRow, details.map((detail) => featureOf(names, detail))],
    ["activations", activationRow, details.flatMap((detail) => activationsOf(names, detail))],
    ["explanations", explanationRow, details.flatMap((detail) => explanationsOf(names, detail))],
  ];
  for (const [table, schema, rows] of tables) {
    // The importer takes the columns from a file's first line, so that it does not read an empty one.
    if (rows.length === 0) continue;
    await mkdir(join(place, table), { recursive: true });
    await writeFileAtomically(join(place, table, `${name}.jsonl.gz`), await zipped(linesOf(schema, rows)));
  }
}

/** JSON Lines of rows that the schema accepts; one that it refuses is a defect. */
function linesOf(schema: z.ZodType, rows: readonly unknown[]): string {
  return rows.map((row) => `${JSON.stringify(schema.parse(row))}\n`).join("");
}
