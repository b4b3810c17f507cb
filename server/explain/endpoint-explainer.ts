import { type Asker, Chat, type ChatOptions, type Question } from "../endpoint/chat.ts";
import type { Outcome } from "../endpoint/outcome.ts";
import type { Usage } from "../endpoint/spend.ts";
import { detectQuestion, explainQuestion, fuzzQuestion, relevanceQuestions } from "./prompts.ts";
import type {
  ExampleWindow,
  Explainer,
  Explanation,
  FeatureCase,
  Judgements,
  MarkedWindow,
  Relevance,
} from "./types.ts";
import { termOf } from "./window-text.ts";

/** Number of windows in one question: one is cleanest, more are cheaper (reference/method.md 3.2). */
const windowsAtOnce = 5;

/** Explains and judges with a language model behind an OpenAI-compatible endpoint. Throws `EndpointError` for an unfit address. */
export function endpointExplainer(options: ChatOptions): Explainer {
  return modelExplainer(options.endpoint.model, new Chat(options));
}

/** Explains and judges with a language model, whoever reaches it. */
export function modelExplainer(name: string, chat: Asker): Explainer {
  return {
    name,
    explain: async (feature) => {
      const outcome = await chat.ask(explainQuestion(feature));
      if (outcome.kind === "none") return outcome;
      const text = outcome.value.explanation;
      return { kind: "answer", value: { text, terms: quotedIn(text) } };
    },
    detect: (explanation, windows) =>
      inParts(windows, async (part) => await chat.ask(detectQuestion(explanation, part))),
    fuzz: (explanation, windows) => inParts(windows, async (part) => await chat.ask(fuzzQuestion(explanation, part))),
    relevance: async (explanation, task) => await agreed(chat, explanation, task),
  };
}

async function inParts<T>(
  windows: readonly T[],
  judge: (part: readonly T[]) => Promise<Outcome<{ answers: readonly (0 | 1)[] }>>,
): Promise<Judgements> {
  const answers: (boolean | null)[] = [];
  const reasons = new Set<string>();
  for (let first = 0; first < windows.length; first += windowsAtOnce) {
    const part = windows.slice(first, first + windowsAtOnce);
    const outcome = await judge(part);
    if (outcome.kind === "none") reasons.add(outcome.reason);
    answers.push(...part.map((_, at) => (outcome.kind === "none" ? null : outcome.value.answers[at] === 1)));
  }
  return { answers, reasons: [...reasons] };
}

/** Both wordings must agree on relevance; if they differ on polarity it is mixed. */
async function agreed(chat: Asker, explanation: Explanation, task: string): Promise<Outcome<Relevance>> {
  const [first, second] = await Promise.all(
    relevanceQuestions(explanation, task).map((question) => chat.ask(question)),
  );
  if (first?.kind !== "answer") return first ?? { kind: "none", reason: "nothing was asked" };
  if (second?.kind !== "answer") return second ?? { kind: "none", reason: "nothing was asked" };
  const [a, b] = [first.value, second.value];
  if (a.relevant !== b.relevant) {
    const why = `two wordings of the question were answered differently: ${a.why}`;
    return { kind: "answer", value: { relevant: false, polarity: "none", confidence: 0, why } };
  }
  const polarity = !a.relevant ? "none" : a.polarity === b.polarity ? a.polarity : "mixed";
  return {
    kind: "answer",
    value: { relevant: a.relevant, polarity, confidence: Math.min(a.confidence, b.confidence), why: a.why },
  };
}

/** Words that an explanation quotes. */
function quotedIn(text: string): string[] {
  return [...text.matchAll(/["“']([^"”']{1,30})["”']/gu)].map(([, word = ""]) => termOf(word));
}

/** Estimated cost of explaining, from the questions themselves. It counts cached answers too, which cost nothing. */
export interface CostEstimate extends Usage {
  readonly requests: number;
}

/** Approximate number of characters a token of English text. */
const charactersPerToken = 4;
/** Typical tokens of explanations and judgements. */
const usualOutputTokens = { explanation: 60, detection: 15, fuzzing: 15, relevance: 60 } as const;

/** Estimates the cost without sending anything. */
export function estimateCost(features: readonly FeatureCase[]): CostEstimate {
  let [requests, inputTokens, outputTokens] = [0, 0, 0];
  const add = ({ system, user }: Question<unknown>, output: number): void => {
    requests += 1;
    inputTokens += Math.ceil((system.length + user.length) / charactersPerToken);
    outputTokens += output;
  };
  const assumed: Explanation = { text: "x".repeat(charactersPerToken * usualOutputTokens.explanation), terms: [] };
  for (const feature of features) {
    add(explainQuestion(feature), usualOutputTokens.explanation);
    const windows: readonly ExampleWindow[] = [...feature.score.active, ...feature.score.silent];
    for (let first = 0; first < windows.length; first += windowsAtOnce) {
      const part = windows.slice(first, first + windowsAtOnce);
      const marked: MarkedWindow[] = part.map(({ tokens }) => ({ tokens, marked: [0] }));
      // Once with the feature's own explanation and once with another feature's.
      for (let turn = 0; turn < 2; turn++) add(detectQuestion(assumed, part), usualOutputTokens.detection);
      add(fuzzQuestion(assumed, marked), usualOutputTokens.fuzzing);
    }
    for (const question of relevanceQuestions(assumed, "x".repeat(100))) add(question, usualOutputTokens.relevance);
  }
  return { requests, inputTokens, outputTokens };
}
