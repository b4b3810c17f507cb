import type { AblationResult, ConditionResult, Level, Measured } from "../../ablate/result.ts";
import type { Ablation } from "../stages/ablate.ts";
import { type Cell, type Section, type Source, showCell, type Table } from "./document.ts";
import { ablationFigure } from "./figures.ts";
import { table6, table7 } from "./paper.ts";

/** What removing the task's features did, beside its controls and the paper's numbers. */
export function ablationSection(ablation: Ablation, source: Source): Section {
  const { picked, set } = ablation;
  const ids = set.features.map(({ id }) => id).join(", ");
  const why =
    picked === "relevant"
      ? "those whose explanation has to do with the task"
      : "no explained feature was judged relevant to the task, so these are the ones that weigh most in the probe's output";
  return {
    title: "The model without these features",
    text: [
      `Removed from the tuned model: ${set.features.length} features (${ids}), ${why}. Only their contributions are taken out of the MLP outputs; what the dictionaries do not explain stays. ` +
        "Every condition completes the same prompts with the same lengths and random numbers, so changes are taken prompt by prompt.",
    ],
    tables: [
      rewardTable(set, source),
      besideTable(set, source),
      ...(ablation.single.length === 0 ? [] : [singleTable(ablation.single, source)]),
      frequencyTable(ablation, source),
    ],
    figures: [ablationFigure(set, source)].filter((figure) => figure !== undefined),
  };
}

/** One line for the top of the report. */
export function ablationFinding({ set, picked }: Ablation): string {
  const change = set.conditions.find(({ kind }) => kind === "this")?.reward.change;
  if (change === null || change === undefined) return "No ablation was measured.";
  const what = picked === "relevant" ? "features relevant to the task" : "features that weigh most in the probe";
  const beyond =
    set.beyondRandom === null
      ? ""
      : `; beyond what random features of the same density do: ${showCell(set.beyondRandom.mean)} (${showCell(set.beyondRandom.low)} to ${showCell(set.beyondRandom.high)})`;
  return `Removing ${set.features.length} ${what} changes the mean reward by ${showCell(change.mean)} (95 % interval ${showCell(change.low)} to ${showCell(change.high)}, ${set.prompts} prompts)${beyond}.`;
}

/** What a condition did, in words. Where nothing is removed whole, features are scaled. */
function nameOfCondition({ features }: AblationResult, { kind, draw }: Pick<ConditionResult, "kind" | "draw">): string {
  const removed = features.every(({ factor }) => factor === 0);
  const names: { readonly [K in ConditionResult["kind"]]: string } = {
    none: "tuned model as it is",
    this: removed ? "features removed" : "features scaled",
    mean: removed ? "features at their mean" : "features scaled about their mean",
    reconstruction: "reconstruction only, nothing removed",
    random: removed ? "random features of the same density" : "random features of the same density, scaled",
  };
  return `${names[kind]}${draw === null ? "" : `, draw ${draw}`}`;
}

/** Rows of conditions as the command and the report show them. */
export function rewardRows(result: AblationResult): Cell[][] {
  const { features, conditions, random, beyondRandom } = result;
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
  return rows;
}

/** Columns of `rewardRows`. */
export const rewardColumns = ["", "mean reward", "95 % low", "95 % high", "change", "95 % low", "95 % high"] as const;

function rewardTable(set: AblationResult, source: Source): Table {
  const paper = table6.map(([name = "", before = 0, after = 0]) => [
    `${name} (${before} before)`,
    after,
    null,
    null,
    typeof before === "number" && typeof after === "number" ? Number((after - before).toFixed(2)) : null,
    null,
    null,
  ]);
  return {
    id: "table-6",
    title: "Reward after ablation (Table 6)",
    source,
    columns: [...rewardColumns],
    rows: [...rewardRows(set), ...paper],
    notes: [
      `${set.prompts} held-out prompts, completed as in tuning. The paper's rows are its rewards after ablation and their change; it reports no controls, and its published code removes coordinates of ` +
        "a reconstruction, not features (docs/method.md, D19).",
    ],
  };
}

/** What the changes do beside the reward. */
export function besideTable(set: AblationResult, source: Source): Table {
  const cells = (measured: Measured | null): Cell[] => [
    measured?.level.mean ?? null,
    ...levelCells(measured?.change ?? null),
  ];
  return {
    id: "ablation-loss-probe",
    title: "Loss and probe after ablation",
    source,
    columns: ["", "loss", "change", "95 % low", "95 % high", "probe's separation", "change", "95 % low", "95 % high"],
    rows: set.conditions.map((condition) => [
      nameOfCondition(set, condition),
      ...cells(condition.loss),
      ...cells(condition.probe),
    ]),
    notes: [
      `Loss: next-token cross-entropy in nats on ${set.texts} held-out texts. Separation: the probe's reading at positive words minus at negative ones, mean over ${set.triples} triples that it was not fitted on, ` +
        "read anew from the changed model.",
    ],
  };
}

function singleTable(single: readonly AblationResult[], source: Source): Table {
  return {
    id: "ablation-single",
    title: "One feature removed at a time",
    source,
    columns: ["feature", "change of the reward", "95 % low", "95 % high"],
    rows: single.map(({ features, conditions }) => [
      features.map(({ id }) => id).join(", "),
      ...levelCells(conditions.find(({ kind }) => kind === "this")?.reward.change ?? null),
    ]),
    notes: ["Those of the set that weigh most in the probe's output."],
  };
}

function frequencyTable({ frequencies, set }: Ablation, source: Source): Table {
  const { threshold, highInputs, otherInputs, ablatedHigh, randomHigh, averageHigh } = frequencies;
  const { ablatedOther, randomOther, averageOther } = frequencies;
  const draws = set.random?.draws ?? 0;
  return {
    id: "table-7",
    title: "How often features are active, per cent of inputs (Table 7)",
    source,
    columns: ["", "ablated features", "random features of the same density", "all features"],
    rows: [
      [`reading of ${threshold} or more (${highInputs} inputs)`, ablatedHigh, randomHigh, averageHigh],
      [`reading below ${threshold} (${otherInputs} inputs)`, ablatedOther, randomOther, averageOther],
      ...table7.map(([name = "", ablated = null, average = null]) => [name, ablated, null, average]),
    ],
    notes: [
      `Inputs: target words of triples that the probe was not fitted on, counted as of high reward by the probe's reading. Mean over the ${set.features.length} ablated features, over those of the ${draws} random ${draws === 1 ? "set" : "sets"} of Table 6, ` +
        "and over all features of the small dictionaries. The paper's rows are of high-reward inputs; it has no control for features that are active often everywhere.",
    ],
  };
}

export function levelCells(level: Level | null): Cell[] {
  return [level?.mean ?? null, level?.low ?? null, level?.high ?? null];
}
