/**
 * What `import ... from "lfp-lens"` gives: load a Hugging Face checkpoint, run it, look inside it, sample from it, train it and save it.
 * README.md has an example; ARCHITECTURE.md says what stands where.
 */
export { LfpError } from "./common/errors.ts";
export { starterFolder } from "./common/package-root.ts";
export { Random } from "./common/random.ts";
export { createCpuDevice } from "./engine/cpu/device.ts";
export type { AdamWOptions, Device, Program, ProgramSpec, StateStore, Update } from "./engine/device.ts";
export { gradients } from "./engine/gradients.ts";
export type { Node, Shape, Values } from "./engine/graph.ts";
export * as ops from "./engine/ops.ts";
export { createOptimizer, gradientNormName, type Optimizer, requireFinite } from "./engine/optimizer.ts";
export { type ChatMessage, type ChatOptions, ChatTemplate, loadChatTemplate } from "./models/chat-template.ts";
export { createModel, type LoadedModel, loadModel, readFloats, saveModel } from "./models/checkpoint.ts";
export { type ContinuedText, type ContinueOptions, continueTexts, encodePrompt } from "./models/continue-texts.ts";
export { defaultSampling, Generator, type SamplingOptions } from "./models/generate.ts";
export { type LogRatioOptions, LogRatioScorer, type LogRatios, type ModelPair } from "./models/log-ratio.ts";
export { addLora, mergeLora, unmergeLora } from "./models/lora.ts";
export { type ForwardOptions, forward, logitsOf, type Model, plainPositions } from "./models/model.ts";
export { nextTokenLoss, targetsOf } from "./models/next-token-loss.ts";
export { type OpenedModel, openModel } from "./models/open.ts";
export { type OpenedPair, openPair, type PairReferences } from "./models/pair.ts";
export { loadTokenizer, type Tokenizer } from "./models/tokenizer.ts";
export { createValueHead, type ValueHead } from "./models/value-head.ts";
