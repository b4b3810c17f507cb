/**
 * Numbers of Marks et al., "Interpreting Learned Feedback Patterns in Large Language Models", for comparison with a
 * run's own.
 */
import type { Cell } from "./document.ts";

/** Features of Table 1. All five are in Table 8. */
export const table1: readonly string[] = ["L2/F37", "L2/F99", "L2/F148", "L3/F23", "L4/F43"].map(
  (id) => `paper, ${id}`,
);

/** Rows of Table 3: answers classified right, per cent, of helpful-harmless and of toxicity data. */
export const table3: readonly Cell[][] = [
  ["paper, Pythia-70m", 99.92, 99.88],
  ["paper, Pythia-160m", 100, 99.9],
  ["paper, GPT-Neo-125m", 99.9, 99.8],
  ["paper, Gemma-2b-it", 99.97, 99.88],
];

/**
 * Rows of Table 4: Kendall's tau and p. The published code correlates strings (docs/method.md); only its baseline is a
 * tau of numbers.
 */
export const table4: readonly Cell[][] = [
  ["paper, Pythia-70m", 0.042, 0.26],
  ["paper, Pythia-160m", 0.093, 0.014],
  ["paper, GPT-Neo-125m", 0.023, 0.48],
  ["paper, Baseline", -0.037, 0.55],
];

/** Rows of Table 5: words whose predicted sign is right, per cent of positive and of negative ones. */
export const table5: readonly Cell[][] = [
  ["paper, GPT-Neo-125m", 76.4, 84.2],
  ["paper, Pythia-70m", 81.38, 92.19],
  ["paper, Pythia-160m", 82.4, 90.6],
];

/** Rows of Table 6: mean reward before and after ablation. */
export const table6: readonly Cell[][] = [
  ["paper, Pythia-70m", 2.07, 1.96],
  ["paper, Pythia-160m", 1.95, 1.69],
  ["paper, GPT-Neo-125m", 1.43, 1.43],
];

/** Rows of Table 7: how often ablated features and all features are active on inputs of high reward, per cent. */
export const table7: readonly Cell[][] = [
  ["paper, Pythia-70m", 19.0, 9.1],
  ["paper, Pythia-160m", 19.7, 4.1],
  ["paper, GPT-Neo-125m", 13.9, 4.2],
];

/**
 * Rows of Table 8: the features of highest similarity of a layer, and how many of them are about opinions or reviews of
 * movies, tuned and base.
 */
export const table8: readonly Cell[][] = [
  ["paper, layer 1", "214, 324, 433, 363, 208, 273, 428, 85, 293, 131", null, null],
  ["paper, layer 2", "99, 39, 506, 377, 62, 428, 433, 148, 406, 37", null, null],
  ["paper, layer 3", "430, 218, 248, 87, 454, 46, 232, 6, 257, 23", null, null],
  ["paper, layer 4", "43, 261, 25, 104, 38, 367, 263, 278, 421, 49", 8, null],
  ["paper, layer 5", "59, 76, 156, 236, 184, 477, 284, 454, 225, 6", null, null],
  ["paper, all 50", null, 21, 13],
];

/** Table 9 and Table 2: the paper's reconstructed values by word (Table 9 where both have one). */
export const reconstructed: ReadonlyMap<string, number> = new Map([
  ["amazing", 1.3],
  ["award", 1.4],
  ["bad", -2.29],
  ["beautifully", 0.64],
  ["best", 1.7],
  ["better", 0.9],
  ["boring", -2.8],
  ["brilliant", 1.3],
  ["cowardly", -2.53],
  ["depressing", -2.4],
  ["despise", -2.5],
  ["despised", -2.2],
  ["disaster", -2.4],
  ["dislike", -1.1],
  ["dreadful", -2.6],
  ["eagerly", 1.3],
  ["foe", -0.6],
  ["friend", 1.1],
  ["fun", 1.9],
  ["funny", 0.7],
  ["good", 1.4],
  ["great", 1.0],
  ["interesting", 2.4],
  ["like", 1.9],
  ["lost", 0.2],
  ["loved", 2.0],
  ["marvelous", 1.28],
  ["masterpiece", 1.3],
  ["miserable", -3.3],
  ["no", -1.7],
  ["praising", 1.9],
  ["precious", -0.81],
  ["reluctantly", 1.7],
  ["terrible", -1.9],
  ["weak", -2.2],
  ["won", 3.4],
  ["wonderful", 0.9],
  ["worse", -1.5],
  ["worst", -1.7],
  ["yes", 1.9],
]);

/** Rows of Table 10: Kendall's tau and p within the negative words. */
export const table10: readonly Cell[][] = [
  ["paper, Pythia-70m", 0.02, 0.73],
  ["paper, Pythia-160m", 0.104, 0.081],
  ["paper, GPT-Neo-125m", 0.097, 0.078],
];

/** Rows of Table 11 and 12: model, configuration, sparsity, reconstruction error. */
export const table11and12: readonly Cell[][] = [
  ["paper, pythia-160m, tied", 0.291, 0.053],
  ["paper, pythia-160m, untied", 0.328, 0.059],
  ["paper, pythia-70m, tied", 0.383, 0.03],
  ["paper, pythia-70m, untied", 0.393, 0.036],
  ["paper, pythia-160m, highest divergence", 0.291, 0.053],
  ["paper, pythia-160m, lowest layers", 0.166, 0.023],
  ["paper, pythia-70m, highest divergence", 0.388, 0.036],
  ["paper, pythia-70m, lowest layers", 0.329, 0.021],
];
