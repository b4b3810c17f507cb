/** A preference file of every layout, and the smallest run on it: all text is made up here. */
const films = ["harbour", "orchard", "station", "island", "library", "garden", "market", "bridge", "tower", "valley"];
const good = ["a wonderful film", "great fun to watch", "the best story", "a lovely surprise"];
const bad = ["a terrible film", "a boring waste", "the worst story", "a dull mistake"];

const ages = ["new", "old", "little"];
/** Number of different prompts. */
const prompts = films.length * ages.length;

/** Two answers to the same question: prompts repeat after thirty, with other answers and other spaces. */
export function answersAt(at: number): { readonly prompt: string; readonly chosen: string; readonly rejected: string } {
  const film = films[at % films.length] ?? "";
  const age = ages[Math.floor(at / films.length) % ages.length] ?? "";
  const spaces = at % (2 * prompts) < prompts ? " " : "  ";
  const pick = (words: readonly string[]): string => words[at % words.length] ?? "";
  return {
    prompt: `What was the${spaces}${age} ${film} like?`,
    chosen: ` It was ${pick(good)}, number ${at}.`,
    rejected: ` It was ${pick(bad)}, number ${at}.`,
  };
}

/** Rows of one layout each, in turn: prompt and texts, transcripts, message lists with and without a prompt. */
export function rowAt(at: number): object {
  const { prompt, chosen, rejected } = answersAt(at);
  const user = { role: "user", content: prompt };
  const assistant = (content: string) => ({ role: "assistant", content: content.trim() });
  const layouts = [
    { prompt, chosen, rejected },
    {
      chosen: `\n\nHuman: ${prompt}\n\nAssistant:${chosen}`,
      rejected: `\n\nHuman: ${prompt}\n\nAssistant:${rejected}`,
    },
    { prompt: [user], chosen: [assistant(chosen)], rejected: [assistant(rejected)] },
    { chosen: [user, assistant(chosen)], rejected: [user, assistant(rejected)], score: at },
  ];
  return layouts[at % layouts.length] ?? {};
}

/** Rows that give no pair, one for each of some reasons. */
export const faultyRows: readonly object[] = [
  { prompt: "Why?", chosen: " the same", rejected: " the same" },
  { prompt: "Why?", chosen: "", rejected: " no" },
  { prompt: "Why?", chosen: " a", rejected: " b", rejected_2: " c" },
  { question: "Why?" },
];

export const linesOf = (rows: readonly unknown[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join("");

/** What is studied in a tiny run on pairs, as small as it goes. */
export const tinyStudy = {
  classify: { resamples: 20, labelShuffles: 2 },
  examples: { tokens: 2000, windowTokens: 8 },
  explain: { perLayer: 4 },
  attribute: { prompts: 24 },
  ablate: { features: 4, prompts: 16, draws: 2, drawsBeside: 1, single: 1 },
};

export const tinyPreferences = {
  preset: "preferences",
  name: "tiny-pairs",
  data: { source: { file: "pairs.jsonl" }, heldOut: 0.25 },
  tuning: { steps: 4, batchSize: 8, pairsAtOnce: 8, warmupSteps: 0, learningRate: 3e-3 },
  evaluate: { prompts: 64 },
  divergence: { layers: 1 },
  sae: { multiples: [1, 2], maxTokens: 4096, batchTokens: 512, bufferTokens: 2048, contextLength: 64 },
  ...tinyStudy,
};
