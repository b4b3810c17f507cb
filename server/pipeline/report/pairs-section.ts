/** The data of a run on pairs of answers, and what tuning did to its preference. */
import { type PairForm, pairForms } from "../../tasks/pairs/pair-texts.ts";
import {
  type PreferenceFault,
  type PreferenceRule,
  preferenceFaults,
  preferenceRules,
} from "../../tasks/pairs/preference-rows.ts";
import { type PairLoss, pairLosses } from "../../tuning/preference-tokens.ts";
import type { PairEvaluation, PairInterval } from "../artifacts/pair-evaluation.ts";
import type { PairCounts, PairSet, PairsRead } from "../artifacts/pairs.ts";
import {
  type Cell,
  type Fact,
  type Figure,
  type Section,
  type Source,
  showCell,
  showPercent,
  type Table,
} from "./document.ts";

/** Rows read and dropped, the rules that split them, and the lengths of both answers. */
export function pairDataSection(counts: PairCounts, source: Source): Section {
  return {
    title: "The pairs",
    text: lengthFinding(counts),
    tables: [rowsTable(counts, source), setsTable(counts, source)],
    figures: [],
  };
}

/** The facts with the number of pairs after the data. */
export function withPairCounts(facts: readonly Fact[], { sets: { tuning, heldOut, analysis } }: PairCounts): Fact[] {
  const ofSet = ({ pairs, groups }: PairSet, purpose: string): string =>
    `${pairs} ${purpose} (${groups} ${groups === 1 ? "prompt" : "prompts"})`;
  const value = `${ofSet(tuning, "for tuning")}, ${ofSet(heldOut, "held out")}, ${ofSet(analysis, "for autoencoders and contrasts")}`;
  const at = facts.findLastIndex(({ name }) => name.startsWith("data")) + 1;
  return [...facts.slice(0, at), { name: "pairs", value }, ...facts.slice(at)];
}

function rowsTable({ read }: PairCounts, source: Source): Table {
  const of = (pick: (read: PairsRead) => number | undefined): Cell[] => [
    pick(read.data) ?? 0,
    ...(read.analysis === null ? [] : [pick(read.analysis) ?? 0]),
  ];
  const both = [read.data, ...(read.analysis === null ? [] : [read.analysis])];
  const isThere = (pick: (read: PairsRead) => number | undefined): boolean => both.some((one) => (pick(one) ?? 0) > 0);
  const named = <K extends string>(
    names: Readonly<Record<K, string>>,
    what: string,
    pick: (read: PairsRead, name: K) => number | undefined,
  ): Cell[][] =>
    (Object.keys(names) as K[])
      .filter((name) => isThere((one) => pick(one, name)))
      .map((name) => [`${what}: ${names[name]}`, ...of((one) => pick(one, name))]);
  return {
    id: "pair-rows",
    title: "Rows of the data",
    source,
    columns: ["", "data", ...(read.analysis === null ? [] : ["analysis"])],
    rows: [
      ["rows read", ...of(({ rows }) => rows)],
      ...named<PreferenceRule>(preferenceRules, "split where", (one, name) => one.rules[name]),
      ...named<PreferenceFault>(preferenceFaults, "dropped", (one, name) => one.faults[name]),
      ["pairs drawn", ...of(({ drawn }) => drawn)],
      ...named<PairForm>(pairForms, "read as", (one, name) => one.forms[name]),
      ...named<PairLoss>(pairLosses, "dropped", (one, name) => one.lost[name]),
      ...(isThere(({ unshared }) => unshared)
        ? [["of these, with tokens that merge across the prompt's end", ...of(({ unshared }) => unshared)]]
        : []),
      ...(isThere(({ refused }) => refused)
        ? [["dropped: the chat template refuses the messages", ...of(({ refused }) => refused)]]
        : []),
      ...(isThere(({ endlessMarks }) => endlessMarks)
        ? [["dropped: too many combining marks in a row", ...of(({ endlessMarks }) => endlessMarks)]]
        : []),
    ],
    notes: ["No prompt is both tuned on and held out: pairs are split by prompt, whatever the spaces in it."],
  };
}

function setsTable({ sets }: PairCounts, source: Source): Table {
  const columns: readonly (readonly [string, PairSet])[] = [
    ["tuning", sets.tuning],
    ["held out", sets.heldOut],
    ["analysis", sets.analysis],
  ];
  const row = (what: string, pick: (set: PairSet) => Cell): Cell[] => [what, ...columns.map(([, set]) => pick(set))];
  const lengths = (side: "chosen" | "rejected"): Cell[][] => [
    row(`${side}: mean tokens`, (set) => set.lengths[side].mean),
    row(`${side}: median`, (set) => set.lengths[side].median),
    row(`${side}: least to most`, (set) => `${set.lengths[side].min} to ${set.lengths[side].max}`),
  ];
  return {
    id: "pair-sets",
    title: "Pairs by purpose, and lengths of their answers in tokens",
    source,
    columns: ["", ...columns.map(([name]) => name)],
    rows: [
      row("pairs", ({ pairs }) => pairs),
      row("prompts", ({ groups }) => groups),
      ...lengths("chosen"),
      ...lengths("rejected"),
      row("chosen answer longer, %", ({ longerChosen, pairs }) => (100 * longerChosen) / pairs),
      row("equally long, %", ({ equallyLong, pairs }) => (100 * equallyLong) / pairs),
      row("prompt cut", ({ cut }) => cut.prompt),
      row("chosen answer cut", ({ cut }) => cut.chosen),
      row("rejected answer cut", ({ cut }) => cut.rejected),
    ],
    notes: [
      "Lengths are those that are learned from: after cutting, with the end-of-text token where the rule appends one.",
    ],
  };
}

/** A warning where length alone tells the answers apart. */
function lengthFinding({ sets: { tuning } }: PairCounts): string[] {
  const share = (tuning.longerChosen + tuning.equallyLong / 2) / tuning.pairs;
  if (Math.abs(share - 0.5) < 0.1) return [];
  const which = share > 0.5 ? "longer" : "shorter";
  return [
    `The chosen answer is the ${which} one in ${showPercent(share > 0.5 ? share : 1 - share)} of the tuning pairs (equally long ones counted half): ` +
      "a model can learn length in place of the preference. The baseline of length stands beside every accuracy.",
  ];
}

/** What tuning did to the preference on held-out pairs. */
export function preferenceSection(found: PairEvaluation, source: Source): Section {
  return {
    title: "What tuning did to the preference",
    text: [],
    tables: [preferenceTable(found, source)],
    figures: [preferenceFigure(found, source)],
  };
}

function preferenceTable(found: PairEvaluation, source: Source): Table {
  const { beta, loss, tokens, isTuned, pairs, groups } = found;
  const row = (what: string, { mean, low, high }: PairInterval): Cell[] => [what, mean, low, high];
  const percent = (what: string, { mean, low, high }: PairInterval): Cell[] => [
    what,
    100 * mean,
    100 * low,
    100 * high,
  ];
  const scaled = ({ mean, low, high }: PairInterval): PairInterval => ({
    mean: beta * mean,
    low: beta * low,
    high: beta * high,
  });
  const how = isTuned
    ? `Loss and reward are those of the tuning: ${loss}, beta ${beta}, tokens by ${tokens}.`
    : `The model was tuned elsewhere, so that its beta is not known: reward and loss are given for ${loss} with beta ${beta}, tokens by ${tokens}.`;
  return {
    id: "preference",
    title: "Preference on held-out pairs",
    source,
    columns: ["", "mean", "95 % low", "95 % high"],
    rows: [
      percent("preference accuracy of the learned reward, %", found.accuracy),
      percent("what length alone tells: the longer answer is the chosen one, %", found.longer),
      row("margin of chosen over rejected, nats", found.margin),
      row("margin in reward, beta times nats", scaled(found.margin)),
      row("log-ratio of chosen answers, nats", found.logRatios.chosen),
      row("log-ratio of rejected answers, nats", found.logRatios.rejected),
      row("loss of the base model", found.lossBy.base),
      row("loss of the tuned model", found.lossBy.tuned),
      row("change of the loss, pair by pair", found.lossBy.change),
      percent("chosen likelier than rejected, base model, %", found.likelihood.base),
      percent("chosen likelier than rejected, tuned model, %", found.likelihood.tuned),
      percent("change, pair by pair, %", found.likelihood.change),
      percent("chosen likelier per token, base model, %", found.likelihoodPerToken.base),
      percent("chosen likelier per token, tuned model, %", found.likelihoodPerToken.tuned),
      percent("change per token, pair by pair, %", found.likelihoodPerToken.change),
    ],
    notes: [
      `${pairs} pairs of ${groups} prompts that tuning has not seen; intervals of shares are Wilson's with whole prompts as their units, the others of 2,000 resamples of whole prompts. ${how}`,
      "The learned reward of an answer is its log-ratio, log p of the tuned model less log p of the base model, which is the reference: the base model's own margin is 0. " +
        "By a model's own likelihood short answers win, so that its accuracy before tuning can lie below one half.",
    ],
  };
}

function preferenceFigure(found: PairEvaluation, source: Source): Figure {
  const row = (label: string, { mean, low, high }: PairInterval, control: boolean) => ({
    label,
    control,
    value: 100 * (mean - 0.5),
    low: 100 * (low - 0.5),
    high: 100 * (high - 0.5),
  });
  return {
    kind: "intervals",
    id: "figure-preference",
    title: "Preference accuracy beyond chance",
    source,
    x: "accuracy less one half, %",
    rows: [
      row("learned reward", found.accuracy, false),
      row("likelihood, tuned model", found.likelihood.tuned, false),
      row("likelihood, base model", found.likelihood.base, true),
      row("length alone", found.longer, true),
    ],
    notes: [`${found.pairs} held-out pairs; 95 % intervals over prompts.`],
  };
}

/** One line for the top of the report. */
export function preferenceFinding({ accuracy, margin, longer }: PairEvaluation): string {
  const verdict =
    accuracy.low > 0.5
      ? "learned the preference"
      : accuracy.high < 0.5
        ? "learned its opposite"
        : "did not clearly learn it";
  return (
    `Tuning ${verdict} on held-out pairs: its learned reward ranks ${showPercent(accuracy.mean)} of them as given ` +
    `(95 % interval ${showPercent(accuracy.low)} to ${showPercent(accuracy.high)}; the longer answer is chosen in ${showPercent(longer.mean)}), ` +
    `with a margin of ${showCell(margin.mean)} nats (${showCell(margin.low)} to ${showCell(margin.high)}).`
  );
}

/** One line for the top of the report: what became of the rows. */
export function pairDataFinding({ read: { data } }: PairCounts): string {
  const dropped = Object.values(data.faults).reduce((sum, rows) => sum + rows, 0);
  const lost = Object.values(data.lost).reduce((sum, pairs) => sum + pairs, 0) + data.refused + data.endlessMarks;
  const more = lost === 0 ? "" : `, and ${lost} of ${data.drawn} pairs leave the model nothing to learn`;
  return `Of ${data.rows} rows ${dropped === 0 ? "every one gives" : `${data.rows - dropped} give`} a pair of answers${more}.`;
}
