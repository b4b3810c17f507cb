import type { AblationResult, Level } from "../../ablate/result.ts";
import { holmAdjusted } from "../../statistics/multiple.ts";
import { normalTwoSidedP } from "../../statistics/special-functions.ts";
import type { Ablation } from "../artifacts/ablation.ts";
import { changeUnder, isShown, rankInWords, withInterval } from "./ablation-finding.ts";
import { besideTable, derivedTables, levelCells, nameOfCondition } from "./ablation-tables.ts";
import { choiceNames, effectWords, whyChosen } from "./ablation-words.ts";
import { type Cell, type Figure, type Section, type Source, showCell, type Table } from "./document.ts";
import { ablationFigure } from "./figures.ts";
import { table6, table7 } from "./paper.ts";

/** Effects of removing features, choice by choice, beside their controls and the paper's numbers. */
export function ablationSection(ablation: Ablation, source: Source): Section {
  const { picked, set } = ablation;
  const ids = set.features.map(({ id }) => id).join(", ");
  const words = effectWords(set);
  return {
    title: "The model without these features",
    text: [
      `Removed from the tuned model: ${set.features.length} features (${ids}), ${whyChosen(picked, words)}. Only their contributions are taken out of the activations; what the dictionaries do not explain stays. ${words.how}`,
      ...(set.withoutRandom === undefined ? [] : [`Not compared with random features: ${set.withoutRandom}.`]),
      ...inBase(set),
    ],
    tables: [
      choicesTable(ablation, source),
      controlsTable(set, source),
      besideTable(set, source),
      ...derivedTables(set, source),
      ...(ablation.single.length === 0 ? [] : [singleTable(ablation.single, source)]),
      ...frequencyTables(ablation, source),
    ],
    figures: [choicesFigure(ablation, source), ablationFigure(set, source)].filter((figure) => figure !== undefined),
  };
}

function nameOfChoice({ picked, result }: Ablation["beside"][number]): string {
  const isDoubled = result.features.some(({ factor }) => factor !== 0);
  return `${choiceNames[picked]}${isDoubled ? ", doubled instead" : ""}`;
}

function labelOfChoice(choice: Ablation["beside"][number]): string {
  const relation = choice.picked === "relevant" ? "of" : "that";
  return `${choice.result.features.length} ${relation} ${nameOfChoice(choice)}`;
}

function allChoices({ picked, set, beside }: Ablation): Ablation["beside"] {
  return [{ picked, result: set }, ...beside];
}

/** Every choice of a set in one table, with the paper's. */
function choicesTable(ablation: Ablation, source: Source): Table {
  const { set } = ablation;
  const rows = allChoices(ablation).map((choice): Cell[] => {
    const { result } = choice;
    const loss = result.conditions.find(({ kind }) => kind === "this")?.loss?.change ?? null;
    return [
      nameOfChoice(choice),
      result.features.length,
      ...levelCells(changeUnder(result)),
      ...levelCells(result.beyondRandom),
      result.random === null ? null : (rankInWords(result.random) ?? null),
      loss?.mean ?? null,
      result.random?.loss?.change.mean ?? null,
    ];
  });
  const words = effectWords(set);
  const paper = set.measure === undefined ? paperRows() : [];
  return {
    id: "table-6",
    title: words.title,
    source,
    columns: [
      "features removed",
      "number",
      `change of ${words.effect}`,
      "95 % low",
      "95 % high",
      "beyond random sets",
      "95 % low",
      "95 % high",
      "among random sets",
      "change of the loss",
      "of random sets",
    ],
    rows: [...rows, ...paper],
    notes: [
      `${unitsInWords(set)}. Random sets: as many features that are active about as often and as strongly; the interval beyond them is for other prompts and other ` +
        `random sets. Attribution is worked out on ${words.attributedOn}, so that nothing here was chosen by what it is measured on.${energyNote(set)}`,
      ...(paper.length === 0
        ? []
        : [
            "The paper's rows are its rewards before and after; it reports no controls, and its published code removes coordinates of a reconstruction, not features (docs/method.md, D19).",
          ]),
    ],
  };
}

/** How many prompts a set was measured on, and how. */
function unitsInWords(set: AblationResult): string {
  const { units } = effectWords(set);
  if (set.measure !== undefined) return `${set.prompts} ${units}`;
  const completions = set.completions === 1 ? "one completion" : `${set.completions} completions`;
  return `${set.prompts} ${units}, ${completions} each, completed as in tuning`;
}

/** The paper's rewards before and after. */
function paperRows(): Cell[][] {
  return table6.map(([name = "", before = 0, after = 0]): Cell[] => {
    const change = typeof before === "number" && typeof after === "number" ? Number((after - before).toFixed(2)) : null;
    return [
      `${name} (${before} before, ${after} after)`,
      null,
      change,
      ...levelCells(null),
      null,
      null,
      null,
      null,
      null,
    ];
  });
}

function energyNote({ random }: AblationResult): string {
  const energy = random?.energy ?? null;
  return energy === null
    ? ""
    : ` Mean square of what is removed, summed over the features: ${showCell(energy.set)}, of the first set's random sets ${showCell(energy.draws)} on average.`;
}

/** Change of the mean reward for every choice. Undefined if there is only one. */
function choicesFigure(ablation: Ablation, source: Source): Figure | undefined {
  if (ablation.beside.length === 0) return undefined;
  const rows = allChoices(ablation).flatMap((choice) => {
    const change = changeUnder(choice.result);
    if (change === null) return [];
    const { mean: value, low, high } = change;
    return [{ label: labelOfChoice(choice), value, low, high, control: false }];
  });
  const { random, base } = ablation.set;
  const control = (label: string, { mean: value, low, high }: Level) => ({ label, value, low, high, control: true });
  return {
    kind: "intervals",
    id: "figure-choices",
    title: "Ablation by how the features were chosen",
    source,
    x: `change of ${effectWords(ablation.set).effect}`,
    rows: [
      ...rows,
      ...(random === null ? [] : [control("random sets for the first", random.change)]),
      ...(base === null ? [] : [control("the first in the base model", base.change)]),
    ],
    notes: [`${ablation.set.prompts} ${effectWords(ablation.set).units}; 95 % intervals.`],
  };
}

/** Rows of conditions for the command and the report. */
export function rewardRows(result: AblationResult): Cell[][] {
  const { features, conditions, random, beyondRandom, base } = result;
  const rows: Cell[][] = conditions.map((condition) => [
    nameOfCondition(result, condition),
    ...levelCells(condition.reward.level),
    ...levelCells(condition.reward.change),
  ]);
  if (random !== null) {
    const name = nameOfCondition(result, { kind: "random", draw: null });
    rows.push([`${name}, mean of ${random.draws}`, ...levelCells(null), ...levelCells(random.change)]);
  }
  const what = features.every(({ factor }) => factor === 0) ? "removed" : "scaled";
  if (beyondRandom !== null) rows.push([`${what} beyond random`, ...levelCells(null), ...levelCells(beyondRandom)]);
  if (base !== null) {
    rows.push([`${what} in the base model instead`, ...levelCells(null), ...levelCells(base.change)]);
    rows.push(["gain of the tuned over the base model", ...levelCells(null), ...levelCells(base.gain)]);
  }
  return rows;
}

/** Columns of `rewardRows`. */
export function rewardColumns(result: AblationResult): string[] {
  return ["", effectWords(result).mean, "95 % low", "95 % high", "change", "95 % low", "95 % high"];
}

function controlsTable(set: AblationResult, source: Source): Table {
  const rank = set.random === null ? undefined : rankInWords(set.random);
  return {
    id: "ablation-controls",
    title: "The first set of Table 6 and its controls",
    source,
    columns: rewardColumns(set),
    rows: rewardRows(set),
    notes: [
      `${unitsInWords(set)}.${set.measure === undefined ? sampledInWords(set) : ""}${rank === undefined ? "" : ` The set's change is ${rank}.`}`,
    ],
  };
}

/** Which conditions have which completions. */
function sampledInWords({ base, completions }: AblationResult): string {
  const many = completions === 1 ? "one completion" : `${completions} completions`;
  return ` The set itself${base === null ? "" : ", in either model,"} and the model as it is have ${many} of each; a control has one, random sets in turn.`;
}

function singleTable(single: readonly AblationResult[], source: Source): Table {
  const changes = single.map(({ conditions }) => conditions.find(({ kind }) => kind === "this")?.reward.change ?? null);
  const adjusted = holmAdjusted(changes.map((change) => (change === null ? null : pOf(change))));
  return {
    id: "ablation-single",
    title: "One feature removed at a time",
    source,
    columns: ["feature", changeOf(single), "95 % low", "95 % high", "p, Holm"],
    rows: single.map(({ features }, at) => [
      features.map(({ id }) => id).join(", "),
      ...levelCells(changes[at] ?? null),
      adjusted[at] ?? null,
    ]),
    notes: [
      `The first of the set by what it was chosen by. Each interval is for its feature alone; p is two-sided and holds for the smallest of these ${single.length} too (Holm).`,
    ],
  };
}

function changeOf([first]: readonly AblationResult[]): string {
  return `change of ${effectWords(first ?? {}).effect}`;
}

/** p-value of a mean from its 95 % interval of 1.96 standard errors to either side; null if nothing varies. */
function pOf({ mean, low, high }: Level): number | null {
  const error = (high - low) / (2 * 1.96);
  return error > 0 ? normalTwoSidedP(mean / error) : null;
}

/** None where the inputs are no rated words. */
function frequencyTables({ frequencies, set }: Ablation, source: Source): Table[] {
  return frequencies === undefined ? [] : [frequencyTable(frequencies, set, source)];
}

function frequencyTable(frequencies: NonNullable<Ablation["frequencies"]>, set: AblationResult, source: Source): Table {
  const { threshold, highInputs, otherInputs, ablatedHigh, randomHigh, averageHigh } = frequencies;
  const { ablatedOther, randomOther, averageOther } = frequencies;
  const draws = set.random?.draws ?? 0;
  return {
    id: "table-7",
    title: "How often features are active, per cent of inputs (Table 7)",
    source,
    columns: ["", "ablated features", "random features as often and as strongly active", "all features"],
    rows: [
      [`reading of ${threshold} or more (${highInputs} inputs)`, ablatedHigh, randomHigh, averageHigh],
      [`reading below ${threshold} (${otherInputs} inputs)`, ablatedOther, randomOther, averageOther],
      ...table7.map(([name = "", ablated = null, average = null]) => [name, ablated, null, average]),
    ],
    notes: [
      `Inputs: target words of triples that the probe was not fitted on, counted as of high reward by the probe's reading. Mean over the ${set.features.length} ablated features, over those of the ${draws} random ${draws === 1 ? "set" : "sets"} that it is compared with, ` +
        "and over all features of the small dictionaries. The paper's rows are of high-reward inputs; it has no control for features that are active often everywhere.",
    ],
  };
}

function inBase(set: AblationResult): string[] {
  if (set.base === null) return [];
  const { change, gain } = set.base;
  const { effect } = effectWords(set);
  const verdict = isShown(gain)
    ? "so that part of the effect belongs to what tuning made"
    : "so that it is not shown that the effect belongs to what tuning made: the base model may need the same features just as much";
  return [
    `Removed from the base model instead, with the tuned model's dictionaries, the same features change ${effect} of the base model by ${withInterval(change)}. ` +
      `The gain of the tuned over the base model changes by ${withInterval(gain)}, ${verdict}.`,
  ];
}
