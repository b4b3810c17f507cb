/** Ablations measured after the run, in a section of their own, apart from what the run itself found. */

import type { AblationResult } from "../../ablate/result.ts";
import { ablationResult } from "../../ablate/result.ts";
import { shortKey } from "../../runs/stage-folder.ts";
import type { LaterAblation } from "../../store/store.ts";
import { rewardColumns, rewardRows } from "./ablation-section.ts";
import { besideTable, derivedTables, levelCells } from "./ablation-tables.ts";
import { effectWords } from "./ablation-words.ts";
import { type Cell, type Report, type Section, type Source, showCell, type Table } from "./document.ts";
import { ablationFigure } from "./figures.ts";

/**
 * Adds the ablations to a report as its last section, with a line about them; returns the report unchanged if there are
 * none.
 */
export function withLaterAblations(report: Report, later: readonly LaterAblation[]): Report {
  const found = later.flatMap((ablation): Measured[] => {
    const { data: result } = ablationResult.safeParse(ablation.result);
    return result === undefined ? [] : [{ ...ablation, result }];
  });
  if (found.length === 0) return report;
  const line = `After the run, ${found.length === 1 ? "one ablation was" : `${found.length} ablations were`} measured: the last section has ${found.length === 1 ? "it" : "them"}.`;
  return {
    ...report,
    summary: [...report.summary, line],
    sections: [...report.sections, sectionOf(found, report.run)],
  };
}

interface Measured extends LaterAblation {
  readonly result: AblationResult;
}

function sectionOf(found: readonly Measured[], run: string): Section {
  const sources = found.map(({ key, created, result }) => ({
    run,
    stage: "lfp ablate",
    key: shortKey(key),
    seed: result.seed,
    measuredAfter: created,
  }));
  const [newest] = sources;
  const numbered = found.flatMap((one, at) => {
    const source = sources[at];
    return source === undefined ? [] : [{ ...one, source, number: at + 1 }];
  });
  return {
    title: "Measured after the run",
    afterRun: true,
    text: [
      "These ablations are no part of the run: people measured them afterwards, with `lfp ablate` or in the editor, and the run's feature store keeps them. " +
        "They use the run's tuned model, dictionaries, held-out prompts and reward, and were chosen by whoever measured them; the newest comes first.",
    ],
    tables: [
      ...(newest === undefined ? [] : [overview(found, newest)]),
      ...numbered.flatMap(({ result, source, number }) => tablesOf(result, source, number)),
    ],
    figures: numbered.flatMap(({ result, source, number }) => figureOf(result, source, number)),
  };
}

/** An overview of the ablations and their settings, one line each. */
function overview(found: readonly Measured[], source: Source): Table {
  const rows = found.map(({ result, created, earlier }, at): Cell[] => {
    const change = (kind: "this" | "mean"): Cell[] =>
      levelCells(result.conditions.find((condition) => condition.kind === kind)?.reward.change ?? null);
    const [toMean = null] = change("mean");
    return [
      `${at + 1}. ${setInWords(result)}${earlier ? " (of dictionaries since trained anew)" : ""}`,
      ...change("this"),
      toMean,
      result.random?.change.mean ?? null,
      result.prompts,
      result.random?.draws ?? 0,
      result.seed,
      created.slice(0, 10),
    ];
  });
  return {
    id: "later-ablations",
    title: "Ablations measured after the run",
    source,
    columns: [
      "features",
      `change of ${found[0] === undefined ? "the reward" : effectWords(found[0].result).effect}`,
      "95 % low",
      "95 % high",
      "towards the mean",
      "random features",
      "prompts",
      "random sets",
      "seed",
      "day",
    ],
    rows,
    notes: [
      "Change: of the mean when the features' activations are multiplied by the factor, 0 where none is given. Towards the mean: the same with the features' means in the place of zero. " +
        "Random features: other features that are active as often and as strongly, mean over the sets.",
    ],
  };
}

function tablesOf(result: AblationResult, source: Source, number: number): Table[] {
  const { prompts, seed, random } = result;
  const draws =
    random === null
      ? "no random sets"
      : `${random.draws} random ${random.draws === 1 ? "set" : "sets"} as often and as strongly active`;
  const how = `Features: ${listOf(result, result.features.length)}. ${prompts} ${effectWords(result).units}${result.measure === undefined ? `, completed as in tuning from the same random numbers (seed ${seed}) under every condition` : ""}; ${draws}; changes prompt by prompt, with 95 % intervals.`;
  const reward: Table = {
    id: `later-${number}-reward`,
    title: `${number}. ${setInWords(result)}: ${effectWords(result).effect.replace("the ", "")}`,
    source,
    columns: rewardColumns(result),
    rows: rewardRows(result),
    notes: [how],
  };
  const isMeasured = result.conditions.some(({ loss, probe }) => loss !== null || probe !== null);
  const beside = { id: `later-${number}-loss-probe`, title: `${number}. ${setInWords(result)}: loss and probe` };
  const derived = derivedTables(result, source).map((table) => ({
    ...table,
    id: `later-${number}-preferences`,
    title: `${number}. ${setInWords(result)}: preferences`,
  }));
  return [reward, ...derived, ...(isMeasured ? [{ ...besideTable(result, source), ...beside }] : [])];
}

function figureOf(result: AblationResult, source: Source, number: number) {
  const figure = ablationFigure(result, source);
  if (figure === undefined) return [];
  return [{ ...figure, id: `later-${number}-ablation`, title: `${number}. ${setInWords(result)}` }];
}

/** The set's features, short enough for a title. */
function setInWords(result: AblationResult): string {
  const verb = result.features.every(({ factor }) => factor === 0) ? " removed" : "";
  return `${listOf(result, 4)}${verb}`;
}

function listOf({ features }: AblationResult, most: number): string {
  const named = features
    .slice(0, most)
    .map(({ id, factor }) => (factor === 0 ? id : `${id} times ${showCell(factor)}`))
    .join(", ");
  return features.length > most ? `${named} and ${features.length - most} more` : named;
}
