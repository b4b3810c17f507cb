import type { z } from "zod";
import { editInWords, type RewardEdit } from "../../rewards/edits.ts";
import type { evaluationSchema } from "../artifacts/evaluation.ts";
import { type Section, type Source, showCell, type Table } from "./document.ts";

export type Evaluation = z.infer<typeof evaluationSchema>;

/** Ratings that were edited for tuning only. */
export interface PlantedEdits {
  /** The feedback's ratings of words, without edits. */
  readonly ratings: ReadonlyMap<string, number>;
  readonly edits: readonly RewardEdit[];
}

/** What fine-tuning did to the reward on held-out prompts. */
export function rewardSection(evaluation: Evaluation, source: Source, planted?: PlantedEdits): Section {
  const { base, tuned, difference, kl, prompts, samples, edited, parts = [] } = evaluation;
  const row = (what: string, interval: Evaluation["base"]) => [what, interval.mean, interval.low, interval.high];
  const rewards: Table = {
    id: "reward",
    title: "Reward on held-out prompts",
    source,
    columns: ["", "mean", "95 % low", "95 % high"],
    rows: [
      row("base model", base),
      row("tuned model", tuned),
      row("difference, pair by pair", difference),
      row("KL to the base, nats a completion", kl),
      ...(edited === undefined
        ? []
        : [
            row("base model, by the edited ratings", edited.base),
            row("tuned model, by the edited ratings", edited.tuned),
            row("difference by the edited ratings", edited.difference),
          ]),
      ...parts.flatMap(({ name, ...part }) => [
        row(`base model, by ${name}`, part.base),
        row(`tuned model, by ${name}`, part.tuned),
        row(`difference by ${name}`, part.difference),
      ]),
    ],
    notes: [
      `${prompts} prompts that tuning has not seen, one completion each by either model with the same lengths and random numbers.`,
      ...(parts.length === 0
        ? []
        : [`The reward is the sum of ${parts.map(({ name, weight }) => `${weight} times ${name}`).join(", ")}.`]),
    ],
  };
  const completions: Table = {
    id: "samples",
    title: "Completions of the first held-out prompts",
    source,
    columns: ["prompt", "base", "reward", "tuned", "reward"],
    rows: samples.map((sample) => [
      sample.prompt,
      sample.base.completion,
      sample.base.reward,
      sample.tuned.completion,
      sample.tuned.reward,
    ]),
    notes: [],
  };
  const text = planted === undefined ? [] : [`${editsFinding(planted)} The words: ${listed(planted)}.`];
  return { title: "What tuning did to the reward", text, tables: [rewards, completions], figures: [] };
}

/** One line for the top of the report: the run was tuned on another reward than it is evaluated with. */
export function editsFinding({ edits }: PlantedEdits): string {
  const words = edits.length === 1 ? "one word" : `${edits.length} words`;
  return (
    `The reward was edited for tuning: ${words} had another rating there than the lexicon gives (a planted divergence). ` +
    "Evaluation, triples, probe and all other numbers keep the lexicon, unless a row says otherwise."
  );
}

function listed({ ratings, edits }: PlantedEdits): string {
  return edits.map((edit) => editInWords(edit, ratings)).join(", ");
}

/** One line for the top of the report. */
export function rewardFinding({ difference, kl }: Evaluation): string {
  const verdict = difference.low > 0 ? "raised" : difference.high < 0 ? "lowered" : "did not clearly change";
  const [mean, low, high, nats] = [difference.mean, difference.low, difference.high, kl.mean].map(showCell);
  return `Tuning ${verdict} the mean reward on held-out prompts: ${mean} (95 % interval ${low} to ${high}) at a KL of ${nats} nats a completion.`;
}
