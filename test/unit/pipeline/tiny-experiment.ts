/** The whole pipeline on the starter, as small as it goes. */
export const tinyExperiment = {
  preset: "quick",
  name: "tiny",
  data: { limit: 600, heldOut: 64 },
  tuning: { steps: 2, batchSize: 16, miniBatchSize: 8, epochs: 1 },
  sampling: { rows: 16, scoredRows: 8 },
  evaluate: { prompts: 32 },
  divergence: { layers: 1 },
  sae: { multiples: [1, 2], maxTokens: 8192, batchTokens: 1024, bufferTokens: 4096, contextLength: 64 },
  learned: { texts: 60, tokens: 64, minPlaces: 3 },
  triples: { limit: 120 },
  probe: { resamples: 20, permutations: 19, xavierSeeds: 2, labelShuffles: 2, foldDraws: 2, refits: 9 },
  examples: { tokens: 4000, windowTokens: 8 },
  explain: { perLayer: 6 },
  attribute: { prompts: 24 },
  ablate: { features: 4, prompts: 16, completions: 2, draws: 2, drawsBeside: 1, single: 1 },
};

/** The same with nothing to see in its results, for what does not depend on them. */
export const smallestExperiment = {
  preset: "quick",
  name: "tiny",
  data: { limit: 300, heldOut: 32 },
  tuning: { steps: 1, batchSize: 8, miniBatchSize: 8, epochs: 1 },
  sampling: { rows: 8, scoredRows: 8 },
  evaluate: { prompts: 8 },
  divergence: { layers: 1 },
  sae: { multiples: [1, 2], maxTokens: 4096, batchTokens: 1024, bufferTokens: 4096, contextLength: 64 },
  learned: { texts: 60, tokens: 48, minPlaces: 3 },
  triples: { limit: 60 },
  probe: { resamples: 10, permutations: 9, xavierSeeds: 1, labelShuffles: 1, foldDraws: 1, refits: 3 },
  examples: { tokens: 2000, windowTokens: 8 },
  explain: { perLayer: 2 },
  attribute: { prompts: 16 },
  ablate: { features: 2, prompts: 16, completions: 1, draws: 1, drawsBeside: 1, single: 1 },
};
