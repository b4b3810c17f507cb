import { join } from "node:path";
import {
  type CalibrationResult,
  calibrate,
  type ReadingsOfTuning,
  type TuningReading,
} from "../../calibration/calibrate.ts";
import type { ReadWord } from "../../calibration/power.ts";
import { writeFileAtomically } from "../../common/atomic-file.ts";
import { Random } from "../../common/random.ts";
import { learnedSchema } from "../../learned/report-types.ts";
import { Calibration, type ReadingName } from "../../protocol/calibration.ts";
import type { Stage, StageContext } from "../../runs/stage.ts";
import { keyInPath } from "../../runs/stage-folder.ts";
import { readJson, writeJson } from "../artifacts/json-files.ts";
import { learnedFile, readPlaces } from "../artifacts/learned.ts";
import { readCandidates, readPlanted } from "../artifacts/planted.ts";
import { readWordReadings } from "../artifacts/word-readings.ts";
import { needRatings, type RewardSettings } from "../feedback.ts";
import { calibrationFinding, calibrationSections } from "../report/calibration-section.ts";
import { renderMarkdown, reportSchema } from "../report/document.ts";

export interface CalibrateSettings {
  /** Name of the run, for the report. */
  readonly run: string;
  readonly seed: number;
  readonly reward: RewardSettings;
  /** See `Calibration`. */
  readonly experiment: string;
  readonly minPlaces: number;
  /** Factor of the planted words' ratings. */
  readonly factor: number;
  readonly resamples: number;
  readonly tunings: readonly { readonly id: string; readonly isNull: boolean; readonly seed: number }[];
}

/** File of the `calibrate` stage. */
export const calibrationFile = "calibration.json";

/**
 * Compares every reading with what was planted. Inputs: for each tuning ID `learned-ID`, `readings-ID` and `planted-ID`
 * (in a null tuning, the words that were drawn and left unchanged), `candidates` and `readings-base`.
 */
export const calibrateStage: Stage<CalibrateSettings, string> = {
  name: "calibrate",
  codeVersion: 3,
  run: async (context) => {
    const { settings, input, output, progress, signal } = context;
    const { run, seed, resamples } = settings;
    const base = (await readWordReadings(input("readings-base"))).byWord;
    const candidates = await readCandidates(input("candidates"));
    const tunings: ReadingsOfTuning[] = [];
    const placesOf = new Map<string, number>();
    for (const { id, isNull } of settings.tunings) {
      const { words } = await readPlanted(input(`planted-${id}`));
      for (const { word, places } of words) placesOf.set(word, places);
      tunings.push({ id, isNull, readings: await readingsOf({ id, isNull, base, candidates }, context) });
      progress(tunings.length, settings.tunings.length, "tunings");
    }
    const random = Random.fromSeed(seed).fork("calibrate");
    const result = await calibrate(tunings, { random, resamples, placesOf, signal });
    const key = keyInPath(output);
    const calibration = calibrationOf(result, settings, key);
    const source = { run, stage: "calibrate", key, seed, seeds: [...calibration.seeds] };
    const report = reportSchema.parse({
      format: 1,
      run,
      seed,
      summary: calibrationFinding(calibration, result),
      sections: calibrationSections(calibration, result, source, settings.factor),
    });
    await writeJson(output, calibrationFile, calibration);
    await writeJson(output, "planted-words.json", result.planted);
    await writeJson(output, "report.json", report);
    await writeFileAtomically(join(output, "report.md"), renderMarkdown(report));
  },
};

function calibrationOf(
  { readings, best, words }: CalibrationResult,
  { tunings, experiment }: CalibrateSettings,
  key: string,
): Calibration {
  return Calibration.parse({
    format: 1,
    experiment,
    key,
    sets: tunings.filter(({ isNull }) => !isNull).length,
    nulls: tunings.filter(({ isNull }) => isNull).length,
    seeds: tunings.map(({ seed }) => seed),
    words,
    readings: Object.fromEntries(
      Object.entries(readings).map(([name, own]) => [name, { words: own.words, places: own.places }]),
    ),
    best,
  });
}

type Context = Pick<StageContext<CalibrateSettings, string>, "settings" | "input">;

interface TuningProblem {
  readonly id: string;
  readonly isNull: boolean;
  /** The base model's readings by the probe by word. */
  readonly base: Readonly<Record<string, number>>;
  readonly candidates: ReadonlySet<string>;
}

/** Every reading of one tuning, at the words that it reads. */
async function readingsOf(
  { id, isNull, base, candidates }: TuningProblem,
  { settings, input }: Context,
): Promise<ReadingsOfTuning["readings"]> {
  const { factor, words } = await readPlanted(input(`planted-${id}`));
  const planted = new Map(words.map(({ word, rating }) => [word, isNull ? rating : factor * rating]));
  const { values: lexicon } = needRatings(settings.reward, "a calibration");
  const read = (word: string, values: readonly number[]): ReadWord[] => {
    const rating = lexicon.get(word) ?? 0;
    return rating === 0 || values.length === 0
      ? []
      : [{ word, rating, planted: planted.get(word), isCandidate: candidates.has(word), values }];
  };
  const ofProbe = (values: Readonly<Record<string, number>>): TuningReading => ({
    words: Object.entries(values).flatMap(([word, value]) => read(word, [value])),
  });
  const learned = await readJson(input(`learned-${id}`), learnedFile, learnedSchema);
  const places = await readPlaces(input(`learned-${id}`));
  const enough = learned.words.filter((one) => one.places >= settings.minPlaces);
  const { byTriple, byWord, fitted } = await readWordReadings(input(`readings-${id}`));
  const minusBase = Object.entries(byWord).flatMap(([word, value]) => {
    const before = base[word];
    return before === undefined ? [] : [[word, value - before] as const];
  });
  const readings: Record<ReadingName, TuningReading> = {
    logRatio: {
      words: enough.flatMap(({ word, mean }) => read(word, [mean])),
      places: enough.flatMap(({ word }) => read(word, places.get(word) ?? [])),
    },
    fittedLogRatio: ofProbe(fitted),
    probeByTriple: ofProbe(byTriple),
    probeByWord: ofProbe(byWord),
    tunedMinusBase: ofProbe(Object.fromEntries(minusBase)),
  };
  return readings;
}
