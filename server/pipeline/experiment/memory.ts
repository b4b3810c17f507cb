/** The memory that a run needs on the CPU, added up before it starts. Sizes in bytes. */
import { machineMemory } from "../../common/machine-memory.ts";
import { fixedFromBytes, mostHeapBytes } from "../../engine/cpu/limits.ts";
import { sizeOf } from "../../engine/graph.ts";
import type { ModelConfig } from "../../models/architectures.ts";
import { readConfig } from "../../models/config.ts";
import { wideBytesOf } from "../../models/fixed-model.ts";
import { linearTargets } from "../../models/lora.ts";
import { parametersOf } from "../../models/model.ts";
import { featuresOf } from "../../sae/config.ts";
import { saeParameters } from "../../sae/graph.ts";
import { contrastsOf } from "../../tasks/tasks.ts";
import type { StepMemory } from "../../tuning/tuning-kind.ts";
import { factsOfTuning } from "../../tuning/tunings.ts";
import { ExperimentError, type ExperimentIssue, issueAt } from "./issues.ts";
import { type Experiment, preferenceOfTuning, tuningOf } from "./schema.ts";

/** A machine, as far as a run's memory goes. */
export interface MachineLimits {
  /** Memory of the machine, or of the container if that is less. */
  readonly machineBytes: number;
  /** Most that the CPU device's own memory holds. */
  readonly heapBytes: number;
}

/** A run's stages that need most memory, by what counts it. */
const needIssues = { tune: memoryNeedIssues, autoencoders: dictionaryNeedIssues } as const;

type LargeStage = keyof typeof needIssues;

/** The ids of the stages that need most memory. */
export const largeStages = Object.keys(needIssues) as LargeStage[];

/**
 * Throws `ExperimentError` where one of these stages, which are still to be computed, would not fit into the memory of
 * this machine, with the sum and what to lower. Throws what `readConfig` throws.
 */
export async function refuseTooLarge(
  experiment: Experiment,
  modelFolder: string,
  stages: readonly LargeStage[],
  limits: MachineLimits = { machineBytes: machineMemory(), heapBytes: mostHeapBytes },
): Promise<void> {
  const { config, json } = await readConfig(modelFolder);
  const issues = stages.flatMap((stage) => needIssues[stage](experiment, config, storedBytesOf(json), limits));
  if (issues.length > 0) throw new ExperimentError(`${experiment.name} with ${experiment.model}`, issues);
}

/** Bytes of a weight in the files of a model with this config.json. */
export function storedBytesOf({ dtype, torch_dtype: earlier }: Readonly<Record<string, unknown>>): 2 | 4 {
  const name = dtype ?? earlier;
  return name === "bfloat16" || name === "float16" ? 2 : 4;
}

/** One term of the sum. */
export interface Need {
  readonly what: string;
  readonly bytes: number;
}

/**
 * The experiment's demands that the machine cannot meet; none where the tuned model is given. State is counted exactly.
 * Activations, which for a large model decide and for others are not counted, are those of texts that are all as long
 * as they may be.
 */
export function memoryNeedIssues(
  experiment: Experiment,
  config: ModelConfig,
  storedBytes: 2 | 4,
  { machineBytes, heapBytes }: MachineLimits,
): ExperimentIssue[] {
  const tuning = tuningOf(experiment);
  if (tuning === undefined) return [];
  const { memory } = factsOfTuning(tuning);
  const state = stateNeeds(config, memory);
  if (totalOf(state) > heapBytes) {
    const message = `${sumOf("tuning", state)}; the CPU device holds ${sizeText(heapBytes)} of these. ${stateAdvice(memory)}`;
    return [issueAt(["tuning", "lora"], message, "rule")];
  }
  const wide = wideBytesOf(config);
  if (wide < fixedFromBytes) {
    // Activations of a smaller model depend most on the texts, which are not known here.
    const sure = [...state, program];
    if (totalOf(sure) <= machineBytes) return [];
    const message = `${sumOf("tuning", sure)}, activations besides; ${machineHas(machineBytes)}. ${stateAdvice(memory)}`;
    return [issueAt(["tuning", "lora"], message, "rule")];
  }
  const weights = { what: "the weights as their files have them", bytes: (wide * storedBytes) / 4 };
  const needs = [weights, working, ...state, ...activationNeeds(experiment, config, memory)];
  if (totalOf(needs) <= machineBytes) return [];
  const { field } = memory.textsAtOnce;
  const lower = `Lower tuning.${field} or ${longestTexts(experiment).field}, or take a smaller model`;
  return [issueAt(["tuning", field], `${sumOf("tuning", needs)}; ${machineHas(machineBytes)}. ${lower}`, "rule")];
}

/**
 * The demands of training dictionaries that the CPU device or the machine cannot meet; none where a dictionary is
 * given.
 */
export function dictionaryNeedIssues(
  experiment: Experiment,
  config: ModelConfig,
  storedBytes: 2 | 4,
  { machineBytes, heapBytes }: MachineLimits,
): ExperimentIssue[] {
  if (experiment.sae.source !== null) return [];
  const { state, outside } = dictionaryNeeds(experiment, config, storedBytes);
  const refuse = (needs: readonly Need[], limit: string, field: string): ExperimentIssue[] => {
    const advice = `Lower sae.${field}, sae.multiples or divergence.layers, or compute on a GPU`;
    return [issueAt(["sae", field], `${sumOf("training dictionaries", needs)}; ${limit}. ${advice}`, "rule")];
  };
  if (totalOf(state) > heapBytes)
    return refuse(state, `the CPU device holds ${sizeText(heapBytes)} of these`, "bufferTokens");
  const all = [...state, ...outside];
  return totalOf(all) > machineBytes ? refuse(all, machineHas(machineBytes), "batchTokens") : [];
}

/**
 * What training dictionaries takes: in the device's own memory, and outside. Every model's layer is a program of its
 * own, which keeps its gradients and the values of its last step. Activations that wait are counted as for texts that
 * fill their buffer. `memory.test.ts` holds the sums to a training's.
 */
export function dictionaryNeeds(
  experiment: Experiment,
  config: ModelConfig,
  storedBytes: 2 | 4,
): { readonly state: readonly Need[]; readonly outside: readonly Need[] } {
  const { sae, divergence } = experiment;
  const { layers } = divergence;
  const pairs = typeof layers === "number" ? Math.min(layers, config.layers) : layers.length;
  const sizes = sae.multiples.map((multiple) => featuresOf(config.width, multiple));
  const numbers = sizes.reduce((sum, F) => {
    const parameters = saeParameters("", { D: config.width, F, tied: sae.tied }, sae.sparsity);
    return sum + parameters.reduce((all, { shape }) => all + sizeOf(shape), 0);
  }, 0);
  const features = sizes.reduce((sum, F) => sum + F, 0);
  const wide = wideBytesOf(config);
  const isFixed = wide >= fixedFromBytes;
  const tuning = tuningOf(experiment);
  // A large model tuned by adapters shares the base model's weights.
  const copies = isFixed && (tuning === undefined || factsOfTuning(tuning).memory.lora !== null) ? 1 : 2;
  const weights = {
    what: "the weights of base and tuned model",
    bytes: isFixed ? (copies * wide * storedBytes) / 4 : copies * wide,
  };
  return {
    state: [
      ...(isFixed ? [] : [weights]),
      {
        what: `dictionaries of ${pairs} layers of both models with their gradients and AdamW's moments`,
        bytes: 4 * 4 * 2 * pairs * numbers,
      },
      { what: `activations of ${sae.bufferTokens} tokens`, bytes: 4 * 2 * pairs * sae.bufferTokens * config.width },
    ],
    outside: [
      ...(isFixed ? [weights] : []),
      {
        what: `a step's values of ${sae.batchTokens} tokens`,
        bytes: 4 * 2 * pairs * sae.batchTokens * stepCopies * features,
      },
      program,
    ],
  };
}

/** Copies of a feature's value at a token in a step: encoder's sums, features, and their gradients. Measured. */
const stepCopies = 4;

/** Node and ONNX Runtime before a model is loaded. Measured. */
const program: Need = { what: "the program itself", bytes: 3 * 2 ** 26 };

/** Measured on Gemma-2B's shape: four of its largest matrices, and what Node and ONNX Runtime take. */
const working: Need = { what: "weights in use, widened to F32, and the program itself", bytes: 2 ** 30 };

/** State that the device's own memory holds while a model is tuned; a cache of sampled texts comes on top. */
function stateNeeds(config: ModelConfig, { lora }: StepMemory): Need[] {
  const wide = wideBytesOf(config);
  if (lora === null)
    return [
      { what: "the weights of policy and reference", bytes: 2 * wide },
      { what: "gradients", bytes: wide },
      { what: "AdamW's moments", bytes: 2 * wide },
    ];
  const parameters = parametersOf(config);
  const targets = new Set(linearTargets({ config, parameters }, lora.targets));
  const trained = parameters.reduce(
    (sum, { name, shape: [out = 0, inputs = 0] }) => sum + (targets.has(name) ? lora.rank * (out + inputs) : 0),
    0,
  );
  const held = wide < fixedFromBytes ? [{ what: "the weights of policy and reference", bytes: wide }] : [];
  return [...held, { what: "adapters with their gradients and moments", bytes: 4 * 4 * trained }];
}

/** What a step holds between its forward and its backward pass, roughly. */
function activationNeeds(experiment: Experiment, config: ModelConfig, { textsAtOnce: { count } }: StepMemory): Need[] {
  const { heads, layers, vocabSize, contextLength } = config;
  const tokens = Math.min(longestTexts(experiment).tokens, contextLength);
  const linear = parametersOf(config).filter(({ role, part }) => role === "linear" && part !== "head");
  const ends = linear.reduce((sum, { shape: [out = 0, inputs = 0] }) => sum + out + inputs, 0);
  const perToken = activationCopies * (ends + layers * heads * tokens);
  return [
    { what: `activations of ${count} texts of ${tokens} tokens`, bytes: 4 * count * tokens * perToken },
    { what: `logits over ${vocabSize} tokens`, bytes: 4 * count * tokens * logitCopies * vocabSize },
  ];
}

/** Copies of each value that enters or leaves a matrix: itself, and what a norm, an activation or a gradient makes of it. */
const activationCopies = 2;
/** Logits, their log-softmax, and two steps of its gradient. */
const logitCopies = 4;

/** Tokens of the longest text that tuning learns from, and the setting that bounds them. */
function longestTexts(experiment: Experiment): { readonly tokens: number; readonly field: string } {
  const { text, sampling, task } = experiment;
  if (contrastsOf(task) === "pairs")
    return { tokens: preferenceOfTuning(experiment).tokens.maxTokens, field: "tuning.pairs.tokens.maxTokens" };
  const tokens = (text.prependBos ? 1 : 0) + sampling.promptTokens.max + sampling.newTokens.max;
  return { tokens, field: "sampling.newTokens.max" };
}

function machineHas(bytes: number): string {
  return `this machine (or its container) has ${sizeText(bytes)}`;
}

function totalOf(needs: readonly Need[]): number {
  return needs.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** `tuning takes about 12.3 GiB: a 5.0 GiB, b 7.3 GiB` */
function sumOf(what: string, needs: readonly Need[]): string {
  return `${what} takes about ${sizeText(totalOf(needs))}: ${needs.map(({ what, bytes }) => `${what} ${sizeText(bytes)}`).join(", ")}`;
}

function stateAdvice({ lora }: StepMemory): string {
  return lora === null
    ? 'Train adapters ("lora": {"rank": 16, "alpha": 32, "targets": "all-linear"}), compute on a GPU, or take a smaller model'
    : "Lower the adapters' rank, or take a smaller model";
}

function sizeText(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
