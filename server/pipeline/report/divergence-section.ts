/** Where the weights changed, and which of the changes carry the gain. */

import type { Level } from "../../ablate/result.ts";
import type { Site } from "../../models/sites.ts";
import type { Divergence } from "../artifacts/divergence.ts";
import type { Restore } from "../artifacts/restore.ts";
import { chosenLayers } from "../chosen-layers.ts";
import { withInterval } from "./ablation-finding.ts";
import { type Cell, type Figure, type Section, type Source, showCell, type Table } from "./document.ts";
import { divergenceFigure } from "./figures.ts";
import { siteWords } from "./site-words.ts";

/**
 * How far layers and parts of the weights moved, which layers the rest of the run studies, and whether that choice is
 * close to a tie. `restored` is null where the run did not restore parts of the weights.
 */
export function divergenceSection(found: Divergence, restored: Restore | null, source: Source): Section {
  const { measure, choose, layers, chosen } = found;
  const table: Table = {
    id: "divergence",
    title: "Divergence of layers and parts",
    source,
    columns: ["", "sum of norms", "joint L2", "MLP only", "relative", "share of the squared change, %", "studied"],
    rows: [
      ...layers.map(({ layer, sumOfNorms, jointL2, mlpOnly, relative }): Cell[] => [
        `layer ${layer}`,
        sumOfNorms,
        jointL2,
        mlpOnly,
        relative,
        null,
        chosen.includes(layer) ? "yes" : "",
      ]),
      ...(restored?.parts ?? []).map((part): Cell[] => [
        nameOfPart(part),
        part.sumOfNorms,
        part.jointL2,
        part.part === "mlp" ? part.jointL2 : null,
        part.relative,
        part.share === null ? null : 100 * part.share,
        part.studied ? "yes" : "",
      ]),
    ],
    notes: [
      `Studied: ${chosen.join(", ")} (${choose} by ${measure}). ${restored === null ? "" : partsNote}` +
        "The paper found layers 1 to 5 for Pythia-70m and 7 to 11 for Pythia-160m and GPT-Neo-125m.",
    ],
  };
  const tie = tieInWords(found);
  return {
    title: "Which layers changed",
    text: tie === undefined ? [] : [tie],
    tables: [table],
    figures: [divergenceFigure(found, source)],
  };
}

const partsNote =
  "The rows of parts are the stage restore's, over all layers; norms are those in and after the layers, which no other part counts. ";

function tieInWords(found: Divergence): string | undefined {
  const { edge, range, isTie } = chosenLayers(found);
  if (!isTie || edge === null) return undefined;
  return (
    `The choice of layers is close to a tie: by the measure (${found.measure}) all layers lie between ${showCell(range.low)} and ${showCell(range.high)}, and the nearest that was left out has ${showCell(edge.other)} ` +
    `beside ${showCell(edge.chosen)} of the last that was chosen. Tuning moved all layers about as much; that these are studied says little about where it acted.`
  );
}

/**
 * How much of the gained reward is lost by restoring parts of the weights; `gain` is the evaluation's, on the same
 * prompts. Parts have a share of the gain only if its interval is above zero.
 */
export function gainSection({ prompts, parts }: Restore, gain: Level, site: Site, source: Source): Section {
  const table: Table = {
    id: "restore",
    title: "The reward with parts of the weights put back to the base model's",
    source,
    columns: [
      "part",
      "tensors",
      "share of the squared change, %",
      "mean reward when put back",
      "change",
      "95 % low",
      "95 % high",
      "of the gain, %",
    ],
    rows: parts.map((part) => [
      nameOfPart(part),
      part.parameters,
      part.share === null ? null : 100 * part.share,
      part.reward.mean,
      part.change.mean,
      part.change.low,
      part.change.high,
      gain.low > 0 ? (-100 * part.change.mean) / gain.mean : null,
    ]),
    notes: [
      `The tuned model with one part's weights replaced by the base model's; ${prompts} held-out prompts, completed with the evaluation's lengths and random numbers, so that changes are taken prompt by prompt. ` +
        (gain.low > 0
          ? "Parts act together, so their shares need not add up to 100 %."
          : `Parts have no share of the gain, as it is ${notShown(gain)}.`),
    ],
  };
  const figure: Figure = {
    kind: "intervals",
    id: "figure-restore",
    title: "Where in the weights the gain is",
    source,
    x: "change of the mean reward when put back",
    rows: parts.map((part) => {
      const { mean: value, low, high } = part.change;
      return { label: nameOfPart(part), value, low, high, control: part.studied };
    }),
    notes: [`${prompts} held-out prompts; 95 % intervals. Grey: ${siteWords[site].grey}.`],
  };
  return {
    title: "Where in the weights the gain is",
    text: [studiedInWords(parts, gain, site)],
    tables: [table],
    figures: parts.length === 0 ? [] : [figure],
  };
}

/** One line for the top of the report. */
export function gainFinding({ parts }: Restore, gain: Level, site: Site): string {
  const listed = parts
    .filter(({ studied }) => !studied)
    .toSorted((a, b) => a.change.mean - b.change.mean)
    .slice(0, 3)
    .map((part) => `${nameOfPart(part)} ${showCell(part.change.mean)}`);
  return `Putting parts of the weights back to the base model's changes the reward most for: ${listed.join(", ")}. ${studiedInWords(parts, gain, site)}`;
}

/** Below this share of the gain, the report says that the studied MLPs carry little of it. */
const little = 1 / 3;

/** How much of the gain the weights carry that autoencoders and probe look into, or at the residual stream a part of these. */
function studiedInWords(parts: Restore["parts"], gain: Level, site: Site): string {
  const studied = parts.find((part) => part.studied) ?? parts.find(({ part }) => part === "mlp");
  if (studied === undefined) return "The model has no MLPs to look into.";
  const { change } = studied;
  const interval = `${showCell(change.mean)} (95 % interval ${showCell(change.low)} to ${showCell(change.high)})`;
  const { lookInto, isAll } = siteWords[site];
  const changed = `${lookInto(nameOfPart(studied))} change the reward by ${interval}`;
  if (gain.mean <= 0) return `${changed}, of no gain.`;
  if (gain.low <= 0)
    return `${changed}; what share of the gain that is cannot be said, as the gain is ${notShown(gain)}.`;
  const share = -change.mean / gain.mean;
  const judged =
    isAll && share < little
      ? `so little of what was learned is where the method looks (${percentOf(share)} of the gain of ${showCell(gain.mean)})`
      : `${percentOf(share)} of the gain of ${showCell(gain.mean)}`;
  return `${changed}: ${judged}.`;
}

function percentOf(share: number): string {
  return `${Math.round(100 * share)} %`;
}

const partNames: { readonly [P in Restore["parts"][number]["part"]]: string } = {
  embedding: "embeddings",
  attention: "attention",
  mlp: "MLPs",
  norm: "norms",
  head: "head",
};

function nameOfPart({ part, studied }: Pick<Restore["parts"][number], "part" | "studied">): string {
  return studied ? `${partNames[part]} of the studied layers` : partNames[part];
}

function notShown(gain: Level): string {
  return `not shown to be above zero: ${withInterval(gain)}, 95 % interval`;
}
