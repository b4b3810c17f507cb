import { basename } from "node:path";
import { exists } from "../../common/exists.ts";
import type { LensTarget } from "../../protocol/lens-state.ts";
import { runPaths } from "../../runs/run-folder.ts";
import { plainPreference } from "../../tuning/preference-settings.ts";
import { factsOfTuning } from "../../tuning/tunings.ts";
import { loadExperiment } from "../experiment/resolve.ts";
import { tuningOf } from "../experiment/schema.ts";
import { type InspectionSource, inspectionDocument } from "../inspect-pairs/document.ts";
import { openPairReader } from "../inspect-pairs/inspect-file.ts";
import { inspectRow } from "../inspect-pairs/inspect-row.ts";
import { modelFolder, tokenizerFolderOf, tunedFolderOf } from "./model-folders.ts";

/** A record of preference data, with the name of its file and its row, from 0. */
export interface PairRow {
  readonly value: unknown;
  readonly data: string;
  readonly row: number;
}

/**
 * Inspects a record with the tokenizer and chat template of a run or of two checkpoints, as a Markdown document. A run
 * that tuned on pairs says how they become tokens; otherwise they do as in TRL 1.x. Throws what reading these files throws.
 */
export async function inspectRecord({ value, data, row }: PairRow, target: LensTarget): Promise<string> {
  const { folder, model, tokens } = await readingOf(target);
  const reader = await openPairReader(folder);
  const source = { data, model, tokens, hasTemplate: reader.template !== undefined };
  return inspectionDocument(source, { totals: undefined, rows: [inspectRow(row, value, reader, tokens)] }, "markdown");
}

interface Reading extends Pick<InspectionSource, "model" | "tokens"> {
  /** Folder of the tokenizer. */
  readonly folder: string;
}

type Readings = {
  readonly [K in LensTarget["kind"]]: (target: Extract<LensTarget, { kind: K }>) => Promise<Reading>;
};

const readings: Readings = {
  run: async ({ folder }) => {
    const experiment = await loadExperiment(runPaths(folder).experiment);
    const tuning = tuningOf(experiment);
    const preference = (tuning === undefined ? null : factsOfTuning(tuning).preference) ?? plainPreference;
    return {
      folder: await tokenizerFolderOf(await tunedFolderOf(folder, experiment), experiment),
      model: `the run ${basename(folder)}`,
      tokens: preference.tokens,
    };
  },
  difference: ({ a }) => readings.run({ kind: "run", folder: a }),
  pair: async ({ tuned, base }) => {
    const own = await modelFolder(tuned);
    const hasTokenizer = await exists(`${own}/tokenizer.json`);
    return { folder: hasTokenizer ? own : await modelFolder(base), model: tuned, tokens: plainPreference.tokens };
  },
};

function readingOf<K extends LensTarget["kind"]>(target: Extract<LensTarget, { kind: K }>): Promise<Reading> {
  const read: Readings[K] = readings[target.kind as K];
  return read(target);
}
