/** Features in plain text, for terminals and language models; texts of models and data sets are made safe. */
import { visible } from "../common/untrusted-text.ts";
import {
  effectInWords,
  type FeatureDetail,
  type FeatureExample,
  type FeatureExplanation,
  type FeatureRow,
} from "../protocol/features.ts";

/** Formats numbers to three significant digits, integers whole. */
export function shown(value: number | null): string {
  if (value === null) return "–";
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(3)));
}

/** A text on one line, in which nothing moves the cursor. */
export function oneLine(text: string): string {
  return visible(text).replaceAll("\n", "↵").replaceAll("\t", " ");
}

/** Formats columns as wide as their widest cell, with numbers right-aligned. */
export function asColumns(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const isNumeric = head.map((_, at) => rows.every((row) => /^[-–\d.e+%]*$/.test(row[at] ?? "")));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => (isNumeric[at] === true ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0)))
      .join("  ")
      .trimEnd();
  return [line(head), ...rows.map(line)].join("\n");
}

export function explanationLine({ text, explainer, score, relevance }: FeatureExplanation): string {
  const scored =
    score === null
      ? "not scored"
      : `${score.method} ${shown(score.value)}, ${shown(score.low)} to ${shown(score.high)}, ${score.windows} windows`;
  const relevant =
    relevance === null ? "" : relevance.relevant ? `; relevant to the task, ${relevance.polarity}` : "; not relevant";
  return `${oneLine(text)} (${explainer}; ${scored}${relevant})`;
}

/** The text around the peak, which is in brackets. */
export function exampleLine({ tokens, activations, peak }: FeatureExample): string {
  const part = (from: number, to: number): string => oneLine(tokens.slice(Math.max(0, from), to).join(""));
  return `${shown(activations[peak] ?? 0).padStart(6)}  ${part(peak - 12, peak)}[${part(peak, peak + 1)}]${part(peak + 1, peak + 6)}`;
}

export function rowCells(row: FeatureRow): string[] {
  return [
    `${row.pinned ? "*" : ""}${row.id}`,
    `${shown(100 * row.density)} %`,
    shown(row.maxActivation),
    shown(row.probeWeight),
    shown(row.contribution),
    shown(row.attribution),
    row.twin === null ? "–" : shown(row.twin.cosine),
    shown(row.ablation?.change ?? null),
    shown(row.explanation?.score?.value ?? null),
    shortened(oneLine(`${row.labels.map((label) => `[${label}] `).join("")}${row.explanation?.text ?? ""}`)),
  ];
}

function shortened(text: string): string {
  const characters = [...text];
  return characters.length <= 80 ? text : `${characters.slice(0, 79).join("")}…`;
}

export const rowHead = [
  "feature",
  "active",
  "max",
  "weight",
  "contribution",
  "attribution",
  "twin",
  "ablation",
  "score",
  "explanation",
] as const;

/** Everything about a feature, with up to `count` examples of each kind. `task` is the run's, in words. */
export function featureText(detail: FeatureDetail, task: string | undefined, count: number): string {
  const { row, baseTwin, promotes, suppresses } = detail;
  const twin = (found: FeatureDetail["baseTwin"]): string =>
    found === null ? "none" : `${found.id} (cosine ${shown(found.cosine)})`;
  const effects = (list: FeatureDetail["promotes"]): string =>
    list.map(({ token, logit }) => `${oneLine(token)} ${shown(logit)}`).join("  ");
  const facts: readonly (readonly [string, string])[] = [
    [
      "active",
      `${detail.activeTokens} of ${detail.tokens} tokens (${shown(100 * row.density)} %), at most ${shown(row.maxActivation)}`,
    ],
    [
      "probe",
      row.probeWeight === null
        ? "does not read it"
        : `weight ${shown(row.probeWeight)}, mean contribution ${shown(row.contribution)}`,
    ],
    ["twin", twin(row.twin)],
    ["base", twin(baseTwin)],
    ["promotes", effects(promotes)],
    ["suppresses", effects(suppresses)],
    ["histogram", `${row.histogram.join(" ")} (active tokens, from 0 to the maximum)`],
    ...(row.labels.length === 0 ? [] : [["labels", row.labels.map(oneLine).join(", ")] as const]),
    ...(detail.note === "" ? [] : [["note", oneLine(detail.note)] as const]),
    ...(detail.annotatedEarlier
      ? [["", "labels, note or pin are about an earlier dictionary of this run"] as const]
      : []),
    ...(task === undefined ? [] : [["task", oneLine(task)] as const]),
  ];
  return [
    `${row.id}${row.pinned ? " *" : ""}`,
    ...facts.map(([name, said]) => `  ${name.padEnd(12)}${said}`),
    ...section("Explanations", detail.explanations.map(explanationLine)),
    ...section("Ablations", ablationLines(detail)),
    ...detail.examples.flatMap(({ group, examples }) =>
      section(groupTitles[group], examples.slice(0, count).map(exampleLine)),
    ),
  ].join("\n");
}

const groupTitles: { readonly [G in FeatureDetail["examples"][number]["group"]]: string } = {
  top: "Strongest",
  q4: "Strong quarter",
  q3: "Second quarter",
  q2: "Third quarter",
  q1: "Weak quarter",
  silent: "The same words, silent",
};

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ["", title, ...lines.map((line) => `  ${line}`)];
}

function ablationLines({ ablations }: FeatureDetail): string[] {
  if (ablations.length === 0) return [];
  const rows = ablations.map(({ what, factor, prompts, change, low, high }) =>
    [what, shown(factor), String(prompts), shown(change), shown(low), shown(high)].map(String),
  );
  return asColumns(
    ["what", "factor", "prompts", `change of the ${effectInWords(ablations[0])}`, "95 % low", "95 % high"],
    rows,
  ).split("\n");
}
