import { z } from "zod";
import type { ProbeSettings } from "../../probe/report-types.ts";
import { wordReadings } from "../../probe/word-readings.ts";
import type { Stage } from "../stage.ts";
import { readCollected } from "./collect.ts";
import { readJson, writeJson } from "./common.ts";
import { readTriples } from "./triples.ts";

export interface WordReadingSettings {
  readonly probe: ProbeSettings;
}

const readingsFile = "readings.json";
const byWord = z.record(z.string(), z.number());
const readingsSchema = z.object({ byTriple: byWord, byWord, fitted: byWord });

/** What probes of one model's features say of every word. */
export const wordReadingsStage: Stage<WordReadingSettings, "triples" | "features"> = {
  name: "word-readings",
  codeVersion: 1,
  run: async ({ settings, input, output, progress }) => {
    const triples = await readTriples(input("triples"));
    const { features } = await readCollected(input("features"));
    const found = wordReadings({ triples, features }, settings.probe);
    const plain = (values: ReadonlyMap<string, number>): Record<string, number> => Object.fromEntries(values);
    const { byTriple, byWord: unseen, fitted } = found;
    await writeJson(
      output,
      readingsFile,
      readingsSchema.parse({ byTriple: plain(byTriple), byWord: plain(unseen), fitted: plain(fitted) }),
    );
    progress(1, 1, "probes");
  },
};

export function readWordReadings(folder: string): Promise<z.infer<typeof readingsSchema>> {
  return readJson(folder, readingsFile, readingsSchema);
}
