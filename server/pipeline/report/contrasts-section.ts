/** How contrasts of a file came about, as far as the file says so. */
import { dropReasons, neutralFaults } from "../../grading/reasons.ts";
import { droppedCounts, type GradedSummary } from "../../grading/summary.ts";
import type { ContrastCounts } from "../artifacts/contrasts.ts";
import { type Cell, type Section, type Source, showCell, showPercent, type Table } from "./document.ts";

/** Undefined for contrasts of the run's own pairs. */
export function contrastsSection(counts: ContrastCounts, source: Source): Section | undefined {
  const { file, contrasts, groups, neutral, ofTuningPrompts } = counts;
  if (file === null) return undefined;
  const drawn = contrasts < file.contrasts ? ` (drawn from the file's ${file.contrasts})` : "";
  const seen =
    ofTuningPrompts === null || ofTuningPrompts === 0
      ? "The model was tuned on none of their prompts."
      : `The model was tuned on the prompts of ${ofTuningPrompts} of them: what the probe finds there, it may find by memory.`;
  return {
    title: "The contrasts",
    text: [
      `${contrasts} contrasts of ${groups} prompts from a file${drawn}, ${neutral} of them with a neutral answer. ${seen}`,
      ...(file.graded === null ? [] : [gradedInWords(file.graded)]),
    ],
    tables: file.graded === null ? [] : [gradedTable(file.graded, source)],
    figures: [],
  };
}

function gradedInWords({ agreement }: GradedSummary): string {
  const { answers, equal, kappa } = agreement;
  const agreed =
    equal === null
      ? ""
      : ` Both orders gave ${answers} answers the same grade in ${showPercent(equal)}; Cohen's kappa with quadratic weights is ${kappa === null ? "undefined, because all grades are one" : showCell(kappa)}.`;
  return (
    `A language model graded and rewrote them.${agreed} ` +
    "Both gradings are by one model: kappa says how stable its grades are, not whether they are right. Rewritten answers are in that model's own words, which a " +
    "probe can tell from others: see what a bag of words reaches."
  );
}

function gradedTable(summary: GradedSummary, source: Source): Table {
  const { model, endpoint, task, seed, rows, pairs, contrasts, dropped, withoutNeutral, left } = summary;
  const named = <K extends string>(
    words: Readonly<Record<K, string>>,
    counts: Partial<Readonly<Record<K, number>>>,
    what: string,
  ): Cell[][] =>
    (Object.keys(words) as K[]).flatMap((key) => (counts[key] ? [[`${what}: ${words[key]}`, counts[key]]] : []));
  return {
    id: "graded-contrasts",
    title: "Pairs graded by a language model",
    source,
    columns: ["", ""],
    rows: [
      ["model", model],
      ["endpoint", endpoint],
      ["task, seed", `${task}, ${seed}`],
      ["rows of the preference file", rows],
      ["pairs to grade", pairs],
      ...named(dropReasons, droppedCounts(dropped), "dropped"),
      ...(left === 0 ? [] : [["not reached", left]]),
      ["contrasts", contrasts],
      ...named(neutralFaults, withoutNeutral, "of these, without a neutral answer"),
    ],
    notes: [
      "A contrast is kept where its sides differ by two grades in both orders, and neither is more than twice as long as the other.",
    ],
  };
}
