/**
 * Checks an experiment's demands on its models against their config.json: before the first stage, not after hours of
 * tuning.
 */
import type { ModelConfig } from "../../models/architectures.ts";
import { sparsityRule } from "../../sae/sparsity.ts";
import { type Contrasts, contrastsOf } from "../../tasks/tasks.ts";
import { type ExperimentIssue, issueAt } from "./issues.ts";
import { type Experiment, preferenceOfTuning, tuningOf } from "./schema.ts";

/** Demands that the models cannot meet. `tuned` is undefined if the run tunes the model. */
export function modelFitIssues(
  experiment: Experiment,
  model: ModelConfig,
  tuned: ModelConfig | undefined,
): ExperimentIssue[] {
  return [
    ...layerIssues(experiment, model),
    ...contextIssues(experiment, model),
    ...dictionaryIssues(experiment, model),
    ...memoryIssues(experiment, model),
    ...(tuned === undefined ? [] : tunedIssues(model, tuned)),
  ];
}

function layerIssues({ divergence: { layers: asked } }: Experiment, { layers }: ModelConfig): ExperimentIssue[] {
  const keys = ["divergence", "layers"];
  if (typeof asked === "number")
    return asked > layers ? [issueAt(keys, `got ${asked}; the model has ${layers} layers`, "rule")] : [];
  const missing = asked.filter((layer) => layer >= layers);
  return missing.length > 0
    ? [issueAt(keys, `got ${missing.join(", ")}; the model's layers are 0 to ${layers - 1}`, "rule")]
    : [];
}

function contextIssues(experiment: Experiment, config: ModelConfig): ExperimentIssue[] {
  const { task, text, sae } = experiment;
  const { contextLength, bosId } = config;
  const issues: ExperimentIssue[] = [];
  if (text.prependBos && bosId === undefined)
    issues.push(issueAt(["text", "prependBos"], "is true, but the model's config.json names no bos_token_id", "rule"));
  const demands = [
    ...demandsOf[contrastsOf(task)](experiment),
    { keys: ["sae", "contextLength"], tokens: sae.contextLength, what: "asks for" },
  ];
  for (const { keys, tokens, what } of demands)
    if (tokens > contextLength)
      issues.push(issueAt(keys, `${what} ${tokens} tokens; the model's context holds ${contextLength}`, "rule"));
  return issues;
}

/** Tokens that the experiment wants the model to read at once. */
interface Demand {
  readonly keys: readonly string[];
  readonly tokens: number;
  readonly what: string;
}

/** What tasks about words and tasks about pairs demand of the model's context. */
const demandsOf: Readonly<Record<Contrasts, (experiment: Experiment) => Demand[]>> = {
  words: ({ sampling, text, triples }) => {
    const begin = text.prependBos ? 1 : 0;
    const withBegin = begin === 0 ? "" : ", with the beginning-of-text token";
    return [
      {
        keys: ["sampling", "newTokens", "max"],
        tokens: begin + sampling.promptTokens.max + sampling.newTokens.max,
        what: `the longest prompt and completion have${withBegin}`,
      },
      {
        keys: ["triples", "maxTargetTokens"],
        tokens: begin + triples.maxTargetTokens,
        what: `the longest passage has${withBegin}`,
      },
    ];
  },
  pairs: (experiment) => {
    const { maxTokens } = preferenceOfTuning(experiment).tokens;
    // A model that was tuned elsewhere has no limit of its own.
    return tuningOf(experiment) === undefined
      ? []
      : [{ keys: ["tuning", "pairs", "tokens", "maxTokens"], tokens: maxTokens, what: "prompt and answer may have" }];
  },
};

function dictionaryIssues({ sae: { multiples, sparsity } }: Experiment, { width }: ModelConfig): ExperimentIssue[] {
  const sizes = multiples.map((multiple) => Math.round(multiple * width));
  const [smallest = 0] = sizes;
  const issues: ExperimentIssue[] = [];
  if (sizes.some((size, at) => size <= (sizes[at - 1] ?? 0))) {
    const got = `with the model's width of ${width} the dictionaries have ${sizes.join(", ")} features`;
    issues.push(issueAt(["sae", "multiples"], `${got}; expected different numbers above 0`, "rule"));
  }
  for (const { field, message } of sparsityRule(sparsity).issues(sparsity, smallest))
    issues.push(issueAt(["sae", "sparsity", field], message, "rule"));
  return issues;
}

/**
 * Memory that no machine has, for settings without another bound. A device's own limit is smaller; the device reports
 * it itself.
 */
const MOST_BYTES = 2 ** 38;

function memoryIssues({ sae, divergence }: Experiment, { width, layers }: ModelConfig): ExperimentIssue[] {
  const chosen = Math.min(layers, typeof divergence.layers === "number" ? divergence.layers : divergence.layers.length);
  const both = 2 * chosen;
  const features = sae.multiples.reduce((sum, multiple) => sum + Math.round(multiple * width), 0);
  const demands = [
    ["bufferTokens", 4 * sae.bufferTokens * width * both, "the activations of both models' layers"],
    // Encoder and decoder, each with two Adam moments.
    ["multiples", 4 * 6 * features * width * both, "the dictionaries of both models with what trains them"],
    ["batchTokens", 4 * sae.batchTokens * features, "the features of one step"],
  ] as const;
  return demands.flatMap(([field, bytes, what]) => {
    if (bytes <= MOST_BYTES) return [];
    const [needed, most] = [Math.ceil(bytes / 2 ** 30), MOST_BYTES / 2 ** 30];
    return [issueAt(["sae", field], `${what} would take ${needed} GiB; expected ${most} GiB at most`, "rule")];
  });
}

function tunedIssues(model: ModelConfig, tuned: ModelConfig): ExperimentIssue[] {
  const same = (["modelType", "layers", "width"] as const).every((size) => model[size] === tuned[size]);
  const described = ({ modelType, layers, width }: ModelConfig): string =>
    `${modelType} of ${layers} layers and width ${width}`;
  return same
    ? []
    : [issueAt(["tuning", "model"], `is ${described(tuned)}, but the base model is ${described(model)}`, "rule")];
}
