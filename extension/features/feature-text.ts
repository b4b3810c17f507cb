/** Describes features in the few words that fit into a tree or a quick pick. */
import type { FeatureRow, PreviewExplain } from "../../server/protocol/features.ts";
import type { ResultOf } from "../../server/protocol/message.ts";

/** `+0.61`, or nothing for a feature that the probe does not read. */
export function contributionText({ contribution }: FeatureRow): string {
  return contribution === null ? "" : withTrueMinus(contribution, 2, "+");
}

/** `1.920`, `−0.190`: with a true minus, and without a sign where nothing is left of the number. */
export function withTrueMinus(value: number, digits: number, plus: "" | "+" = ""): string {
  const text = Math.abs(value).toFixed(digits);
  return Number(text) === 0 ? text : `${value < 0 ? "−" : plus}${text}`;
}

/** `found in its examples`; nothing for a feature that no words found, or whose shown text has them. */
export function foundIn({ matches }: FeatureRow): string {
  const [first] = matches;
  return first === "note" || first === "examples" ? `found in its ${first}` : "";
}

/** Labels and explanation: `[praise] words of praise`. */
export function meaningOf({ explanation, labels }: FeatureRow): string {
  const labelled = labels.length === 0 ? "" : `[${labels.join(", ")}] `;
  return `${labelled}${explanation?.text ?? "not explained"}`;
}

/** A feature in a sentence, for tooltips and screen readers. */
export function featureSentence(row: FeatureRow): string {
  const { id, explanation, density, probeWeight, contribution, pinned } = row;
  const parts = [
    `${id}: ${meaningOf(row)}`,
    contribution === null ? undefined : `mean contribution ${contributionText(row)}`,
    probeWeight === null ? undefined : `probe weight ${withTrueMinus(probeWeight, 2)}`,
    `active on ${(100 * density).toPrecision(2)} % of tokens`,
    explanation?.score === undefined || explanation.score === null
      ? undefined
      : `explanation scored ${explanation.score.value.toFixed(2)}`,
    pinned ? "pinned" : undefined,
  ];
  return parts.filter((part) => part !== undefined).join(", ");
}

/** The confirmation message before a job that costs money: everything relevant in one message. */
export function spendText(preview: ResultOf<typeof PreviewExplain>, capUsd: number): string {
  const { features, cached, requests, inputTokens, outputTokens, costUsd, origin } = preview;
  const cost = costUsd === null ? "at a price that is not known here" : `about $${costUsd.toFixed(2)}`;
  return [
    `${features} ${features === 1 ? "feature is" : "features are"} to be explained${cached === 0 ? "" : `; ${cached} more ${cached === 1 ? "is" : "are"} explained already and left as ${cached === 1 ? "it is" : "they are"}`}.`,
    `${requests} requests to ${origin ?? "nowhere"}: about ${inputTokens} tokens are sent and ${outputTokens} come back, ${cost}.`,
    costUsd === null
      ? "It can be stopped at any time; what is explained by then stays."
      : `It stops by itself at $${capUsd.toFixed(2)}; what is explained by then stays.`,
  ].join("\n");
}

/** The same for a language model of VS Code, which costs no dollars that are known here. */
export function editorSpendText(preview: ResultOf<typeof PreviewExplain>, model: string): string {
  const { features, requests, inputTokens, outputTokens } = preview;
  return [
    `${features} ${features === 1 ? "feature is" : "features are"} explained. Example texts of the run go to ${model} through VS Code.`,
    `${requests} requests, about ${inputTokens} tokens of questions and ${outputTokens} of answers, count against your plan there. VS Code may ask for your consent first.`,
    "It can be stopped at any time; what is explained by then stays.",
  ].join("\n");
}
