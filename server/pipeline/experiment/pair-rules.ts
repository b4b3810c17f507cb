/** Rules between an experiment's task and its data, feedback and tuning. */
import type { RewardConfig } from "../../rewards/reward-configs.ts";
import { type Contrasts, contrastsOf, type PairTask, type WordTask } from "../../tasks/tasks.ts";
import { factsOfTuning, type Tuning } from "../../tuning/tunings.ts";
import type { TextSource } from "./sources.ts";

/** What the rules look at. */
export interface PairSections {
  readonly task: WordTask | PairTask;
  readonly data: { readonly source: TextSource; readonly field: string };
  readonly analysis: { readonly source: TextSource; readonly field: string } | null;
  readonly reward: RewardConfig;
  readonly tuning: Tuning | { readonly kind: "given" };
}

interface PairIssue {
  readonly path: readonly string[];
  readonly message: string;
}

/** What does not fit the task: each of these settings would otherwise be read as something else, or not at all. */
export function pairIssues(experiment: PairSections): PairIssue[] {
  return rules[contrastsOf(experiment.task)](experiment);
}

const rules: Readonly<Record<Contrasts, (experiment: PairSections) => PairIssue[]>> = {
  words: ({ task, reward, tuning }) => [
    ...(reward.kind === "none"
      ? [{ path: ["reward", "kind"], message: `must be a feedback that rates words for the task ${task}` }]
      : []),
    ...(learnsFrom(tuning) === "pairs"
      ? [
          {
            path: ["tuning", "pairs", "from"],
            message: `must be "reward" for the task ${task}, whose data are texts; for pairs of your own take the preset preferences`,
          },
        ]
      : []),
  ],
  pairs: ({ task, data, analysis, reward, tuning }) => [
    ...(reward.kind === "none"
      ? []
      : [{ path: ["reward", "kind"], message: `must be "none" for the task ${task}: its pairs are the preference` }]),
    ...(learnsFrom(tuning) === "reward"
      ? [
          {
            path: ["tuning"],
            message: `learns from a reward, but the task ${task} has pairs: take dpo with pairs from data (as the preset preferences has it), or given`,
          },
        ]
      : []),
    ...sourceIssues("data", data),
    ...(analysis === null ? [] : sourceIssues("analysis", analysis)),
  ],
};

function learnsFrom(tuning: PairSections["tuning"]): "reward" | "pairs" | undefined {
  return tuning.kind === "given" ? undefined : factsOfTuning(tuning).learnsFrom;
}

function sourceIssues(section: "data" | "analysis", { source, field }: PairSections["data"]): PairIssue[] {
  return [
    ...(source === "starter"
      ? [{ path: [section, "source"], message: "must name a file or data set of pairs: the starter's texts are none" }]
      : []),
    ...(field === "text"
      ? []
      : [
          {
            path: [section, "field"],
            message: "has no effect, because pairs have fields of their own (prompt, chosen, rejected): leave it out",
          },
        ]),
  ];
}
