/** README.md of a run on the Hugging Face hub: YAML front matter that the hub indexes, and how to load what is there. */
import { sites } from "../../../models/sites.ts";
import { tuningOf } from "../../experiment/schema.ts";
import { dataOf, dictionaryPath, type FinishedRun } from "./finished-run.ts";

/** The model at the top of the repository: all weights, an adapter, or none where the run was given its tuned model. */
export type CardModel =
  | { readonly kind: "whole" }
  | { readonly kind: "adapter" }
  | { readonly kind: "none"; readonly tuned: string | null };

export interface CardFacts {
  /** Hub id of the base model; null where it has none. */
  readonly base: string | null;
  readonly model: CardModel;
  /** Id of the repository; null if it is not known yet. */
  readonly repository: string | null;
  /** The report's findings, in Markdown. */
  readonly summary: readonly string[];
}

const unnamed = "OWNER/NAME";

/** The card. Text of models and data sets stands in it only as the report escapes it. */
export function modelCard(run: FinishedRun, facts: CardFacts): string {
  const { summary, model } = facts;
  const repository = facts.repository ?? unnamed;
  return [
    "---",
    ...frontMatter(run, facts),
    "---",
    "",
    `# ${run.name}`,
    "",
    `${whatItIs(run, facts)} Made with ${versionsOf(run)}.`,
    "",
    "## What the run found",
    "",
    ...(summary.length > 0 ? summary.map((finding) => `- ${finding}`) : ["See report.md."]),
    "",
    "`report.md` has every table, `report.json` the same numbers, and `experiment.json` every setting: `lfp run experiment.json` repeats the run.",
    ...usageOf[model.kind](repository, facts),
    ...dictionarySection(run, repository),
    "",
    "## Licence",
    "",
    "None is stated yet. The licences of the base model and of the data hold for what was made from them: choose one that they allow and name it in this file's first lines.",
    "",
  ].join("\n");
}

function frontMatter(run: FinishedRun, { base, model }: CardFacts): string[] {
  const { hub } = dataOf(run.experiment);
  const tuned = model.kind === "none" ? (model.tuned ?? base) : base;
  const relation = relations[model.kind];
  const tuning = tuningOf(run.experiment);
  const tags = ["lfp-lens", "interpretability", "sparse-autoencoder", ...(tuning === undefined ? [] : [tuning.kind])];
  return [
    "# license: name one here, see https://huggingface.co/docs/hub/repositories-licenses",
    `library_name: ${libraries[model.kind]}`,
    ...(model.kind === "none" ? [] : ["pipeline_tag: text-generation"]),
    ...(tuned === null ? [] : [`base_model: ${quoted(tuned)}`]),
    ...(tuned === null || relation === undefined ? [] : [`base_model_relation: ${relation}`]),
    ...(hub.length === 0 ? [] : ["datasets:", ...hub.map((id) => `  - ${quoted(id)}`)]),
    "tags:",
    ...tags.map((tag) => `  - ${quoted(tag)}`),
  ];
}

type Kind = CardModel["kind"];
const libraries: { readonly [K in Kind]: string } = { whole: "transformers", adapter: "peft", none: "saelens" };
const relations: { readonly [K in Kind]: string | undefined } = {
  whole: "finetune",
  adapter: "adapter",
  none: undefined,
};

/** A YAML scalar: a JSON string is one. */
function quoted(text: string): string {
  return JSON.stringify(text);
}

function whatItIs({ experiment }: FinishedRun, { base, model }: CardFacts): string {
  const name = base ?? "a model that is not on the hub";
  const { hub, others } = dataOf(experiment);
  const data = [...hub, ...others].map((one) => `\`${one.replaceAll("`", "'")}\``).join(", ");
  const made = {
    whole: `A language model, fine-tuned from ${name} by feedback`,
    adapter: `An adapter that fine-tunes ${name} by feedback`,
    none: `Dictionaries of ${name} and of a model tuned from it`,
  }[model.kind];
  return `${made}, on ${data}: task ${experiment.task}, seed ${experiment.seed}. With sparse autoencoders of both models and a report on what was learned.`;
}

function versionsOf({ versions }: FinishedRun): string {
  return Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(", ");
}

const usageOf: { readonly [K in Kind]: (repository: string, facts: CardFacts) => string[] } = {
  whole: (repository) => [
    "",
    "## The model",
    "",
    "```python",
    "from transformers import AutoModelForCausalLM, AutoTokenizer",
    "",
    `model = AutoModelForCausalLM.from_pretrained(${quoted(repository)})`,
    `tokenizer = AutoTokenizer.from_pretrained(${quoted(repository)})`,
    "```",
  ],
  adapter: (repository) => [
    "",
    "## The adapter",
    "",
    "```python",
    "from peft import AutoPeftModelForCausalLM",
    "from transformers import AutoTokenizer",
    "",
    `model = AutoPeftModelForCausalLM.from_pretrained(${quoted(repository)})`,
    `tokenizer = AutoTokenizer.from_pretrained(${quoted(repository)})`,
    "```",
  ],
  none: (_, { model }) => [
    "",
    "## The model",
    "",
    `The tuned model is ${model.kind === "none" && model.tuned !== null ? model.tuned : "not here"}; the run took it as it was.`,
  ],
};

function dictionarySection({ experiment, dictionaries }: FinishedRun, repository: string): string[] {
  const [first] = dictionaries.filter(({ model }) => model === "tuned");
  return [
    "",
    "## Dictionaries",
    "",
    `Sparse autoencoders of the ${sites[experiment.sae.site].inWords}, of the tuned and of the base model, in the format of SAELens:`,
    "",
    ...(first === undefined
      ? []
      : [
          "```python",
          "from sae_lens import SAE",
          "",
          `sae = SAE.from_pretrained(${quoted(repository)}, ${quoted(dictionaryPath(first))})`,
          "```",
          "",
        ]),
    "| folder | features | L0 | variance explained |",
    "| --- | ---: | ---: | ---: |",
    ...dictionaries.map(
      (one) => `| ${dictionaryPath(one)} | ${one.F} | ${one.l0.toPrecision(3)} | ${(100 * one.fve).toPrecision(3)} % |`,
    ),
  ];
}
