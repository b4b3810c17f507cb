/** What a reader has to know before comparing runs: what one lacks, and where figures are not on one scale. */
import { type HeadlineStage, headlineStages, headlines } from "../../artifacts/headlines.ts";
import type { Absence, ReadRun } from "./read-run.ts";
import type { DifferingSetting } from "./settings.ts";

/** What a comparison lacks of a run, a sentence each. */
export function missingOf(run: ReadRun, runs: readonly ReadRun[]): string[] {
  const { state, unfinished, problems, experiment, record, absent } = run;
  const elsewhere = headlineStages.filter(
    (stage) => absent.has(stage) && runs.some((other) => hasFigures(other, stage)),
  );
  const lacking = (absence: Absence): string[] => elsewhere.filter((stage) => absent.get(stage) === absence);
  const said = (stages: readonly string[], words: (list: string) => string): string[] =>
    stages.length === 0 ? [] : [words(stages.join(", "))];
  return [
    ...problems,
    ...(experiment === undefined && problems.length === 0
      ? ["It has no experiment.json: its settings are unknown."]
      : []),
    ...(record === undefined && problems.length === 0 ? ["It has not begun, and so has no figures."] : []),
    ...said(unfinished, (list) => `It is ${state.replace(/[.;:].*/s, "")}; not finished: ${list}.`),
    ...said(lacking("not planned"), (list) => `Its plan lacks the stages ${list}.`),
    ...said(lacking("not kept"), (list) => `Its folder does not keep the outputs of ${list}.`),
    ...said(lacking("not measured"), () => "It has no calibration of its settings (lfp calibrate makes one)."),
  ];
}

function hasFigures({ figures }: ReadRun, stage: HeadlineStage): boolean {
  return headlines.some((headline) => headline.stage === stage && figures[headline.id] !== undefined);
}

/** Settings that decide what a figure means, by the beginning of their path, with what follows if they differ. */
const scales: readonly (readonly [prefix: string, consequence: string])[] = [
  ["reward.", "Their feedback differs: rewards, and what follows from them, are on different scales."],
  ["model", "They start from different models: losses, KL and features are of different models."],
  ["data.", "They read different texts: figures are over different held-out texts."],
  ["analysis", "They analyse different texts: dictionaries and readings are of different texts."],
];

/** What keeps figures of these runs from being compared, a sentence each. */
export function incomparable(
  runs: readonly ReadRun[],
  names: readonly string[],
  settings: readonly DifferingSetting[],
): string[] {
  const differs = (prefix: string): boolean =>
    settings.some(({ name }) => (prefix.endsWith(".") ? name.startsWith(prefix) : name.split(".")[0] === prefix));
  return [
    ...tasksInWords(runs, names),
    ...scales.flatMap(([prefix, consequence]) => (differs(prefix) ? [consequence] : [])),
    ...versionsInWords(runs, names),
  ];
}

function tasksInWords(runs: readonly ReadRun[], names: readonly string[]): string[] {
  const tasks = new Map<string, string[]>();
  for (const [at, { experiment }] of runs.entries())
    if (experiment !== undefined) tasks.set(experiment.task, [...(tasks.get(experiment.task) ?? []), names[at] ?? ""]);
  if (tasks.size < 2) return [];
  const each = [...tasks].map(([task, those]) => `${task} (${those.join(", ")})`);
  return [`Their tasks differ: ${each.join("; ")}. Only what both kinds of run measure can be compared.`];
}

/** Stages whose code was another in some runs, so that figures may differ by the code alone. */
function versionsInWords(runs: readonly ReadRun[], names: readonly string[]): string[] {
  const versions = runs.map(
    ({ record }) => new Map((record?.stages ?? []).map(({ id, stage, codeVersion }) => [id, { stage, codeVersion }])),
  );
  const ids = new Set(versions.flatMap((one) => [...one.keys()]));
  const differing = [...ids].flatMap((id) => {
    const known = versions.flatMap((one, at) => {
      const found = one.get(id);
      return found === undefined ? [] : [{ ...found, name: names[at] ?? "" }];
    });
    const [first] = known;
    const isSameStage = known.every(({ stage }) => stage === first?.stage);
    if (!isSameStage || known.every(({ codeVersion }) => codeVersion === first?.codeVersion)) return [];
    return [`${id} (${known.map(({ name, codeVersion }) => `${codeVersion} in ${name}`).join(", ")})`];
  });
  return differing.length === 0 ? [] : [`Different versions of the code computed ${differing.join("; ")}.`];
}
