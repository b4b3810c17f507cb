/** Tables of an ablation's conditions: their names, and what changes beside the effect. */
import type { AblationResult, ConditionResult, Level, Measured } from "../../ablate/result.ts";
import { derivedNames } from "./ablation-words.ts";
import type { Cell, Source, Table } from "./document.ts";

const changeColumns = ["change", "95 % low", "95 % high"];

/** A condition's name. Unless every feature is removed whole, features are "scaled". */
export function nameOfCondition(
  { features }: AblationResult,
  { kind, draw }: Pick<ConditionResult, "kind" | "draw">,
): string {
  const removed = features.every(({ factor }) => factor === 0);
  const names: { readonly [K in ConditionResult["kind"]]: string } = {
    none: "tuned model as it is",
    this: removed ? "features removed" : "features scaled",
    mean: removed ? "features at their mean" : "features scaled about their mean",
    reconstruction: "reconstruction only, nothing removed",
    random: removed
      ? "random features, as often and as strongly active"
      : "random features, as often and as strongly active, scaled",
  };
  return `${names[kind]}${draw === null ? "" : `, draw ${draw}`}`;
}

/** The changes' effects other than on the reward. */
export function besideTable(set: AblationResult, source: Source): Table {
  const hasProbe = set.conditions.some(({ probe }) => probe !== null);
  return {
    id: "ablation-loss-probe",
    title: hasProbe ? "Loss and probe after ablation" : "Loss after ablation",
    source,
    columns: ["", "loss", ...changeColumns, ...(hasProbe ? ["probe's separation", ...changeColumns] : [])],
    rows: set.conditions
      .filter(({ loss, probe }) => loss !== null || probe !== null)
      .map((condition) => [
        nameOfCondition(set, condition),
        ...cells(condition.loss),
        ...(hasProbe ? cells(condition.probe) : []),
      ]),
    notes: [
      `Loss: next-token cross-entropy in nats on ${set.texts} held-out texts.${
        hasProbe
          ? ` Separation: the probe's reading at positive words minus at negative ones, mean over ${set.triples} triples that it was not fitted on, read anew from the changed model.`
          : ""
      } Of the random sets only the first have ${hasProbe ? "these" : "it"}.`,
    ],
  };
}

/** What follows from the effect, condition by condition; none where nothing does. */
export function derivedTables(set: AblationResult, source: Source): Table[] {
  const names = Object.keys(set.conditions[0]?.derived ?? {});
  if (names.length === 0) return [];
  return [
    {
      id: "ablation-preferences",
      title: "Preferences after ablation",
      source,
      columns: ["", ...names.flatMap((name) => [derivedNames[name] ?? name, ...changeColumns])],
      rows: set.conditions.map((condition) => [
        nameOfCondition(set, condition),
        ...names.flatMap((name) => cells(condition.derived?.[name] ?? null)),
      ]),
      notes: [
        `${set.prompts} prompts of held-out pairs. Accuracy: the share of pairs whose margin is above zero. Loss: of the run's tuning, from the margins in nats.`,
      ],
    },
  ];
}

function cells(measured: Measured | null): Cell[] {
  return [measured?.level.mean ?? null, ...levelCells(measured?.change ?? null)];
}

export function levelCells(level: Level | null): Cell[] {
  return [level?.mean ?? null, level?.low ?? null, level?.high ?? null];
}
