import type { Command } from "./command.ts";

/** An entry of the table of commands; the command's file is loaded on first use. */
export interface CommandEntry {
  /** One line for `lfp --help`, without a full stop. */
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

/** Every command by its name, of one word or two. To add one: a file with `defineCommand`, and an entry here. */
export const commands: Readonly<Record<string, CommandEntry>> = {
  doctor: {
    summary: "says what this machine has, what is missing and how to get it",
    load: async () => (await import("./doctor.ts")).doctor,
  },
  generate: {
    summary: "continues prompts with a model",
    load: async () => (await import("./generate.ts")).generate,
  },
  run: {
    summary: "runs an experiment from feedback to report, or goes on with it",
    load: async () => (await import("./run.ts")).run,
  },
  sweep: {
    summary: "runs an experiment with several seeds and settings",
    load: async () => (await import("./sweep.ts")).sweep,
  },
  status: {
    summary: "says how a run stands",
    load: async () => (await import("./status.ts")).status,
  },
  cancel: {
    summary: "stops a run after a checkpoint",
    load: async () => (await import("./cancel.ts")).cancel,
  },
  report: {
    summary: "prints what a run found",
    load: async () => (await import("./report.ts")).report,
  },
  export: {
    summary: "writes a finished run for the Hugging Face hub or for Neuronpedia",
    load: async () => (await import("./export.ts")).exportCommand,
  },
  compare: {
    summary: "sets runs side by side: settings that differ, and every figure",
    load: async () => (await import("./compare.ts")).compare,
  },
  features: {
    summary: "lists a run's features",
    load: async () => (await import("./features.ts")).features,
  },
  feature: {
    summary: "shows a feature, or keeps a note, label or pin on it",
    load: async () => (await import("./feature.ts")).feature,
  },
  score: {
    summary: "shows the learned or implicit reward of every token of a text",
    load: async () => (await import("./score.ts")).score,
  },
  explain: {
    summary: "explains features and scores the explanations",
    load: async () => (await import("./explain.ts")).explain,
  },
  "pairs grade": {
    summary: "makes contrasts of a preference file by a language model",
    load: async () => (await import("./pairs-grade.ts")).pairsGrade,
  },
  ablate: {
    summary: "removes or scales features and measures what that does",
    load: async () => (await import("./ablate.ts")).ablate,
  },
  "pairs inspect": {
    summary: "shows how preference pairs become tokens",
    load: async () => (await import("./pairs-inspect.ts")).pairsInspect,
  },
  mcp: {
    summary: "answers assistants' questions about runs, by the Model Context Protocol",
    load: async () => (await import("./mcp.ts")).mcp,
  },
  stage: {
    summary: "runs one stage of an experiment",
    load: async () => (await import("./stage.ts")).stage,
  },
  calibrate: {
    summary: "measures how far each reading can be trusted, by words planted in the reward",
    load: async () => (await import("./calibrate.ts")).calibrate,
  },
  tune: {
    summary: "measures which kernels are fastest on this machine's GPU",
    load: async () => (await import("./tune.ts")).tune,
  },
  "bench engine": {
    summary: "times training steps, forward passes and matrix products",
    load: async () => (await import("../bench/engine.ts")).benchEngine,
  },
  "bench gpu": {
    summary: "times products, training, sampling and autoencoders on a GPU",
    load: async () => (await import("../bench/gpu.ts")).benchGpu,
  },
  "bench generate": {
    summary: "times sampling for a batch of prompts",
    load: async () => (await import("../bench/generate.ts")).benchGenerate,
  },
  "bench ppo": {
    summary: "times PPO steps",
    load: async () => (await import("../bench/ppo.ts")).benchPpo,
  },
  "bench dpo": {
    summary: "times DPO steps",
    load: async () => (await import("../bench/dpo.ts")).benchDpo,
  },
  "bench sae": {
    summary: "times the training of autoencoders",
    load: async () => (await import("../bench/sae.ts")).benchSae,
  },
  "bench lens": {
    summary: "times the reading of paragraphs",
    load: async () => (await import("../bench/lens.ts")).benchLens,
  },
  "bench features": {
    summary: "times pages and searches of the feature table",
    load: async () => (await import("../bench/features.ts")).benchFeatures,
  },
  "bench probe": {
    summary: "times reading features and evaluating a probe",
    load: async () => (await import("../bench/probe.ts")).benchProbe,
  },
};
