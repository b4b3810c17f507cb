import { isUnfamiliar } from "../../lens/familiarity.ts";
import { ablateFeature, commandLink, howToRead, openFeature } from "../../protocol/commands.ts";
import type { FeatureDetail } from "../../protocol/features.ts";
import type { TokenDetail } from "../../protocol/lens.ts";
import type { RunInfo } from "../../protocol/lens-state.ts";
import { percent, plain, probability, quoted, signed } from "../text/markdown.ts";

export interface TokenHover {
  readonly detail: TokenDetail;
  readonly info: RunInfo;
  /** How many features the numbers are without or beside. */
  readonly ablated: number;
}

/** What a hover over a token says: the numbers, what they are made of, and how far to trust them. */
export function tokenHover({ detail, info, ablated }: TokenHover): string {
  const { text, implicit, trueReward, contributions, rest, intercept } = detail;
  const truth = trueReward === null ? "" : `, true reward **${signed(trueReward)}**`;
  const differ = trueReward !== null && Math.sign(trueReward) * Math.sign(implicit) === -1 ? " (they disagree)" : "";
  const row = (value: number, name: string, words: string): string => `| ${signed(value)} | ${name} | ${words} |`;
  // With spaces that do not break: the two stay on one line of the narrow column.
  const links = (id: string): string =>
    `[${id}](${commandLink(openFeature, { runFolder: info.runFolder, id })})\u00a0·\u00a0` +
    `[ablate](${commandLink(ablateFeature, { runFolder: info.runFolder, id })})`;
  const unexplained = info.hasFeatureStore ? "not explained" : "";
  const others = rest.count === 1 ? "1 other feature" : `${rest.count} other features`;
  return [
    `${quoted(text.trim())} implicit reward **${signed(implicit)}**${truth}${differ}`,
    "",
    ...unfamiliarLines(detail),
    ...(ablated === 0 ? [] : [`With ${ablated === 1 ? "1 feature" : `${ablated} features`} ablated.`, ""]),
    "| part | feature | |",
    "| ---: | --- | --- |",
    ...contributions.map((one) =>
      row(one.contribution, links(one.id), one.explanation === null ? unexplained : plain(one.explanation, 120)),
    ),
    ...(rest.count === 0 ? [] : [row(rest.contribution, others, "")]),
    row(intercept, "constant", ""),
    "",
    trustLine(detail),
    "",
    `Run ${plain(info.runName)}. [How to read this](${commandLink(howToRead, {})})`,
  ].join("\n");
}

function trustLine({ implicit, familiarity, trust: { seenInTuning, signAccuracy, tau } }: TokenDetail): string {
  const sentences: string[] = [];
  if (familiarity === null) sentences.push("How familiar the word is to the probe is not known for this run.");
  else if (!isUnfamiliar(familiarity)) sentences.push("The word is familiar to the probe.");
  if (signAccuracy !== null) {
    const { share, low, high, words } = signAccuracy;
    const kind = implicit > 0 ? "positive" : "negative";
    sentences.push(
      `Of ${words} ${kind} words that it had not seen, the probe has the sign of ${percent(share)} right (95 % interval ${percent(low)} to ${percent(high)}).`,
    );
  }
  if (tau !== null) sentences.push(`Kendall's tau ${signed(tau.value)}, p ${probability(tau.p)}.`);
  if (seenInTuning !== null)
    sentences.push(`The texts tuned on have this word ${seenInTuning === 1 ? "once" : `${seenInTuning} times`}.`);
  return sentences.length === 0 ? "This run says nothing of how far to trust its probe." : sentences.join(" ");
}

/** At the top, because it is about all that follows. */
function unfamiliarLines({ familiarity }: TokenDetail): string[] {
  if (familiarity === null || !isUnfamiliar(familiarity)) return [];
  const times = familiarity >= 10 ? familiarity.toFixed(0) : familiarity.toFixed(1);
  return [
    "**Unfamiliar to the probe**: the features lie far from those that it was tested on, so that the number is a guess " +
      `(leverage ${times} times what 95 % of the test's unseen words stay below).`,
    "",
  ];
}

/** What a hover over a feature's name says. */
export function featureHover(detail: FeatureDetail, runFolder: string, runName: string): string {
  const { row, promotes } = detail;
  const { id, explanation, density, probeWeight, ablation, labels } = row;
  const score =
    explanation?.score == null ? "" : ` (${explanation.score.method} score ${explanation.score.value.toFixed(2)})`;
  const facts = [
    `active on ${(100 * density).toFixed(density < 0.01 ? 2 : 1)} % of tokens`,
    probeWeight === null ? "not read by the probe" : `probe weight ${signed(probeWeight)}`,
    ...(ablation === null ? [] : [`without it the reward changes by ${signed(ablation.change)}`]),
  ];
  const top = detail.examples.find(({ group }) => group === "top")?.examples.slice(0, 3) ?? [];
  return [
    `**${id}** ${explanation === null ? "has no explanation yet" : `${plain(explanation.text)}${score}`}`,
    "",
    `${facts.join(", ")}.`,
    ...(labels.length === 0 ? [] : ["", `Labels: ${labels.map((label) => plain(label)).join(", ")}.`]),
    ...(promotes.length === 0
      ? []
      : [
          "",
          `Promotes ${promotes
            .slice(0, 5)
            .map(({ token }) => quoted(token, 30))
            .join(", ")}.`,
        ]),
    ...top.flatMap(({ tokens, peak }) => ["", `> ${exampleLine(tokens, peak)}`]),
    "",
    `Run ${plain(runName)}. [Open](${commandLink(openFeature, { runFolder, id })}) · ` +
      `[ablate](${commandLink(ablateFeature, { runFolder, id })})`,
  ].join("\n");
}

/** The strongest token in bold, with what stands around it. */
export function exampleLine(tokens: readonly string[], peak: number): string {
  const before = tokens.slice(Math.max(0, peak - 12), peak).join("");
  const after = tokens.slice(peak + 1, peak + 9).join("");
  // Bold needs a letter at both ends.
  const [, left = "", word = "", right = ""] = /^(\s*)(.*?)(\s*)$/su.exec(tokens[peak] ?? "") ?? [];
  const strong = word === "" ? "" : `**${plain(word, 60)}**`;
  return `${plain(before, 120)}${left === "" ? "" : " "}${strong}${right === "" ? "" : " "}${plain(after, 80)}`;
}
