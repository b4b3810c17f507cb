import type { z } from "zod";
import type { Divergence } from "../stages/divergence.ts";
import type { evaluationSchema } from "../stages/tune.ts";
import { type Section, type Source, showCell, type Table } from "./document.ts";
import { divergenceFigure } from "./figures.ts";

export type Evaluation = z.infer<typeof evaluationSchema>;

/** What fine-tuning did to the reward on held-out prompts. */
export function rewardSection(evaluation: Evaluation, source: Source): Section {
  const { base, tuned, difference, kl, prompts, samples } = evaluation;
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
    ],
    notes: [
      `${prompts} prompts that tuning has not seen, one completion each by either model with the same lengths and random numbers.`,
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
  return { title: "What tuning did to the reward", text: [], tables: [rewards, completions], figures: [] };
}

/** One line for the top of the report. */
export function rewardFinding({ difference, kl }: Evaluation): string {
  const verdict = difference.low > 0 ? "raised" : difference.high < 0 ? "lowered" : "did not clearly change";
  const [mean, low, high, nats] = [difference.mean, difference.low, difference.high, kl.mean].map(showCell);
  return `Tuning ${verdict} the mean reward on held-out prompts: ${mean} (95 % interval ${low} to ${high}) at a KL of ${nats} nats a completion.`;
}

/** How far each layer moved, and which ones the rest of the run studies. */
export function divergenceSection(found: Divergence, source: Source): Section {
  const { measure, choose, layers, chosen } = found;
  const table: Table = {
    id: "divergence",
    title: "Divergence of the layers",
    source,
    columns: ["layer", "sum of norms", "joint L2", "MLP only", "relative", "studied"],
    rows: layers.map(({ layer, sumOfNorms, jointL2, mlpOnly, relative }) => [
      layer,
      sumOfNorms,
      jointL2,
      mlpOnly,
      relative,
      chosen.includes(layer) ? "yes" : "",
    ]),
    notes: [
      `Studied: ${chosen.join(", ")} (${choose} by ${measure}). The paper found layers 1 to 5 for Pythia-70m and 7 to 11 for Pythia-160m and GPT-Neo-125m.`,
    ],
  };
  return { title: "Which layers changed", text: [], tables: [table], figures: [divergenceFigure(found, source)] };
}
