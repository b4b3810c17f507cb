/** What a hover over a feature's name says. */
import { ablateFeature, commandLink, openFeature } from "../../protocol/commands.ts";
import type { FeatureDetail } from "../../protocol/features.ts";
import { plain, quoted, signed } from "../text/markdown.ts";

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

/** An example with its strongest token in bold. */
export function exampleLine(tokens: readonly string[], peak: number): string {
  const before = tokens.slice(Math.max(0, peak - 12), peak).join("");
  const after = tokens.slice(peak + 1, peak + 9).join("");
  // Markdown's bold must not begin or end with white space.
  const [, left = "", word = "", right = ""] = /^(\s*)(.*?)(\s*)$/su.exec(tokens[peak] ?? "") ?? [];
  const strong = word === "" ? "" : `**${plain(word, 60)}**`;
  return `${plain(before, 120)}${left === "" ? "" : " "}${strong}${right === "" ? "" : " "}${plain(after, 80)}`;
}
