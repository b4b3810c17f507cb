/** A feature as a page of plain text: nothing in it is rendered, whatever data sets or models wrote. */
import type { FeatureDetail, FeatureExample } from "../../server/protocol/features.ts";
import { contributionText, withTrueMinus } from "./feature-text.ts";

/** The content of a feature's page as text, for the document that Go to Definition opens. */
export function featureSummary(detail: FeatureDetail, runName: string): string {
  const { row, note } = detail;
  const sections = [
    [`${row.id}, run ${runName}`],
    explanationLines(detail),
    factLines(detail),
    effectLines(detail),
    ...detail.examples.map(({ group, examples }) => [
      `${groupTitles[group]}:`,
      ...examples.map((example) => `  ${exampleLine(example)}`),
    ]),
    row.labels.length === 0 ? [] : [`labels: ${row.labels.join(", ")}`],
    note === "" ? [] : ["note:", note],
  ];
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n")}\n`;
}

type Group = FeatureDetail["examples"][number]["group"];

const groupTitles: { readonly [G in Group]: string } = {
  top: "strongest",
  q4: "strong",
  q3: "above the middle",
  q2: "below the middle",
  q1: "weak",
  silent: "the same words, not active",
};

function explanationLines({ explanations }: FeatureDetail): string[] {
  if (explanations.length === 0) return ["not explained"];
  return explanations.map(({ text, explainer, score }) => {
    const scored =
      score === null
        ? "not scored"
        : `${score.method} ${score.value.toFixed(2)}, ${score.low.toFixed(2)} to ${score.high.toFixed(2)} over ${score.windows} windows`;
    return `${oneLine(text)} (${oneLine(explainer)}; ${scored})`;
  });
}

function factLines({ row, activeTokens, tokens, baseTwin, promotes, suppresses }: FeatureDetail): string[] {
  const { density, maxActivation, probeWeight, twin } = row;
  const words = (list: FeatureDetail["promotes"]): string => list.map(({ token }) => JSON.stringify(token)).join(" ");
  return [
    `active on ${activeTokens} of ${tokens} tokens (${(100 * density).toPrecision(2)} %), at most ${maxActivation.toFixed(2)}`,
    ...(probeWeight === null
      ? []
      : [`probe weight ${withTrueMinus(probeWeight, 3)}, mean contribution ${contributionText(row)}`]),
    ...(twin === null ? [] : [`twin in the other size: ${twin.id}, cosine ${withTrueMinus(twin.cosine, 2)}`]),
    ...(baseTwin === null
      ? []
      : [`most similar in the base model: ${baseTwin.id}, cosine ${withTrueMinus(baseTwin.cosine, 2)}`]),
    ...(promotes.length === 0 ? [] : [`promotes ${words(promotes)}`]),
    ...(suppresses.length === 0 ? [] : [`suppresses ${words(suppresses)}`]),
  ];
}

function effectLines({ ablations }: FeatureDetail): string[] {
  return ablations.map(
    ({ what, measure, factor, prompts, change, low, high }) =>
      `${what} times ${factor}: ${measure ?? "reward"} changes by ${withTrueMinus(change, 3)} (${withTrueMinus(low, 3)} to ${withTrueMinus(high, 3)}) over ${prompts} prompts`,
  );
}

/** An example on one line, with its peak token in brackets. */
function exampleLine({ tokens, peak }: FeatureExample): string {
  const parts = tokens.map((token, at) => {
    if (at !== peak) return token;
    const [before = "", after = ""] = [/^\s*/.exec(token)?.[0], /\s*$/.exec(token.trimStart())?.[0]];
    return `${before}[${token.trim()}]${after}`;
  });
  return oneLine(parts.join(""));
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}
