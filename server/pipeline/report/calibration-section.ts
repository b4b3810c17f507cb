/** How far each reading can be trusted: a calibration's report, and its section in a run's report. */
import type { CalibrationResult, PlantedWord, PowerGroup } from "../../calibration/calibrate.ts";
import { type Calibration, ReadingName, type ReadingPower } from "../../protocol/calibration.ts";
import { type Cell, type Report, type Section, type Source, showCell, type Table } from "./document.ts";

/** Names of the readings, for people. */
export const readingNames: { readonly [K in ReadingName]: string } = {
  logRatio: "log-ratio",
  fittedLogRatio: "fitted log-ratio, unseen words",
  probeByTriple: "probe by triple (the paper)",
  probeByWord: "probe by word",
  tunedMinusBase: "probe by word, tuned minus base",
};

/** Lines for the top of the report. */
export function calibrationFinding(calibration: Calibration, { moved }: Pick<CalibrationResult, "moved">): string[] {
  const { sets, nulls, readings, best } = calibration;
  if (sets === 0)
    return [`Nothing was planted: ${nulls} tunings without edits show what comes of chance. ${inWords(calibration)}`];
  if (!moved)
    return [
      "The tunings changed nothing: no log-ratio differs from 0, and there is nothing that a reading could have found.",
    ];
  const power = best === null ? undefined : readings[best]?.words;
  const first =
    best === null || power === undefined
      ? "No reading finds planted words more often than chance."
      : `The ${readingNames[best]} finds planted words best: it ${foundInWords(power)}.`;
  return [first, inWords(calibration)];
}

/** `flags 8 of 10 planted words, where ...`. */
function foundInWords({ found, signs, falsePositives }: ReadingPower): string {
  if (found.count === null)
    return `has the planted sign at ${signs.right} of ${signs.of}; how many it flags was not measured: ${noThreshold}`;
  const flags = falsePositives === null ? "" : `, where ${percent(falsePositives)} of unplanted words are flagged`;
  return `flags ${found.count} of ${found.of} planted words${flags}, and has the planted sign at ${signs.right} of ${signs.of}`;
}

const noThreshold = "without null tunings (--nulls) there is no threshold";

/** Every reading's AUROC. */
function inWords({ readings }: Calibration): string {
  const parts = ReadingName.options.flatMap((name) => {
    const { auroc = null, low = null, high = null } = readings[name]?.words ?? {};
    return auroc === null ? [] : [`${readingNames[name]} ${showCell(auroc)} (${showCell(low)} to ${showCell(high)})`];
  });
  return `AUROC with 95 % interval, 0.5 being chance: ${parts.join(", ")}.`;
}

/** The sections of a calibration's own report. */
export function calibrationSections(
  calibration: Calibration,
  result: CalibrationResult,
  source: Source,
  factor: number,
): Section[] {
  return [
    readingsSection(calibration, source, result, factor),
    {
      title: "Power by frequency and by dose",
      text: [
        "Planted words in three groups of about equal size: by their places in the texts that were read, and by how far their rating was moved (points of the lexicon).",
      ],
      tables: [groupTable(result, source)],
      figures: [],
    },
    {
      title: "The planted words",
      text: [
        "For every planted word: its centred reading, and above which share of the other words of its tuning that might have been planted it stands. A star: above the threshold.",
      ],
      tables: [wordTable(result, source)],
      figures: [],
    },
  ];
}

/** Adds the calibration that applies to a run to its report, in a section of its own. */
export function withCalibration(report: Report, calibration: Calibration | undefined): Report {
  if (calibration === undefined) return report;
  const { seeds, key = "key not recorded" } = calibration;
  const source = {
    run: report.run,
    stage: "lfp calibrate",
    key,
    seed: seeds[0] ?? report.seed,
    seeds: [...seeds],
  };
  const found = calibrationFinding(calibration, { moved: true });
  return {
    ...report,
    summary: [...report.summary, `In models tuned like this (lfp calibrate): ${found.join(" ")}`],
    sections: [...report.sections, { ...readingsSection(calibration, source), afterRun: true }],
  };
}

/** The table of readings, for the calibration's report and a run's. */
function readingsSection(
  calibration: Calibration,
  source: Source,
  result?: CalibrationResult,
  factor?: number,
): Section {
  const { sets, nulls, seeds, words } = calibration;
  const how = factor === undefined ? "edited" : `multiplied with ${factor}`;
  return {
    title: "How far the readings can be trusted",
    text: [
      `${sets} tunings on a reward whose ratings of some words were ${how} (planted), and ${nulls} without edits (null), seeds ${seeds.join(", ")}. ` +
        "Triples and probes keep the meant ratings, as for someone who does not know what the model learned. " +
        `Score of a word: minus the sign of its rating times its reading, centred on the words that were not planted; ${showCell(words)} words a tuning.`,
    ],
    tables: [readingsTable(calibration, source, result)],
    figures: [],
  };
}

function readingsTable({ readings, nulls }: Calibration, source: Source, result: CalibrationResult | undefined): Table {
  const row = (name: string, power: ReadingPower, control: Cell[]): Cell[] => [
    name,
    power.auroc,
    power.low,
    power.high,
    `${power.signs.right} of ${power.signs.of}`,
    power.found.count === null ? null : `${power.found.count} of ${power.found.of}`,
    power.threshold,
    power.falsePositives === null ? null : 100 * power.falsePositives,
    ...control,
  ];
  const rows = ReadingName.options.flatMap((name) => {
    const own = readings[name];
    if (own === undefined) return [];
    const more = result?.readings[name];
    const control: Cell[] =
      result === undefined
        ? []
        : [more?.control?.value ?? null, more?.othersFlagged == null ? null : 100 * more.othersFlagged];
    const places =
      own.places === null
        ? []
        : [
            row(
              `${readingNames[name]}, single places`,
              own.places,
              control.map(() => null),
            ),
          ];
    return [row(readingNames[name], own.words, control), ...places];
  });
  return {
    id: "calibration",
    title: "Planted words found by each reading",
    source,
    columns: [
      "",
      "AUROC",
      "95 % low",
      "95 % high",
      "planted signs",
      "flagged",
      "threshold",
      "false positives, %",
      ...(result === undefined ? [] : ["AUROC of the same words, not planted", "other words flagged, %"]),
    ],
    rows,
    notes: [
      "AUROC: the chance that a planted word stands above another of its tuning that might have been planted, the mean over tunings; interval by bootstrap over tunings and words. " +
        "Threshold: the least score above which at most one in twenty words of every null tuning lies, in the reading's own units (nats for log-ratios, points of the lexicon for probes). " +
        "False positives: words of null tunings above the threshold that the other null tunings set.",
      ...(nulls === 0 ? [`Nothing is flagged: ${noThreshold}.`] : []),
    ],
  };
}

function groupTable({ readings }: CalibrationResult, source: Source): Table {
  const rows = ReadingName.options.flatMap((name) =>
    (readings[name]?.groups ?? []).map(({ by, name: group, words, auroc, found, right }: PowerGroup): Cell[] => [
      readingNames[name],
      by,
      group,
      words,
      auroc,
      found,
      right,
    ]),
  );
  return {
    id: "calibration-power",
    title: "Power by frequency and by dose",
    source,
    columns: ["", "by", "group", "planted words", "AUROC", "flagged", "planted signs right"],
    rows,
    notes: [],
  };
}

function wordTable({ planted, readings }: CalibrationResult, source: Source): Table {
  const names = ReadingName.options.filter((name) => readings[name] !== undefined);
  const cellOf = (word: PlantedWord, name: ReadingName): Cell => {
    const verdict = word.readings[name];
    if (verdict === undefined) return null;
    return `${showCell(verdict.centred)} (${percent(verdict.above)})${verdict.flagged ? " *" : ""}`;
  };
  return {
    id: "calibration-words",
    title: "What each reading says of the planted words",
    source,
    columns: ["tuning", "word", "meant", "planted", "places", ...names.map((name) => readingNames[name])],
    rows: planted.map((word) => [
      word.tuning,
      word.word,
      word.rating,
      word.planted,
      word.places,
      ...names.map((name) => cellOf(word, name)),
    ]),
    notes: ["A dash: the reading does not meet the word (probes read the target words of triples only)."],
  };
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}
