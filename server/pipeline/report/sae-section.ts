import type { Site } from "../../models/sites.ts";
import type { Autoencoders } from "../artifacts/autoencoders.ts";
import type { Similarity } from "../artifacts/similarity.ts";
import { type Section, type Source, showCell, type Table } from "./document.ts";
import { qualityFigure } from "./figures.ts";
import { table11and12 } from "./paper.ts";
import { siteWords } from "./site-words.ts";

/** Quality of the autoencoders, and similarity of the dictionaries of two sizes. */
export function saeSection(found: Autoencoders, { baselines }: Similarity, site: Site, source: Source): Section {
  return {
    title: "Autoencoders",
    text: [],
    tables: [qualityTable(found, site, source), twinTable(found, baselines, source), errorTable(found, source)],
    figures: [qualityFigure(found, source)],
  };
}

function qualityTable({ trainingTokens, saes }: Autoencoders, site: Site, source: Source): Table {
  return {
    id: "sae-quality",
    title: "Autoencoders on held-out texts",
    source,
    columns: [
      "model",
      "layer",
      "features",
      "L0",
      "variance explained",
      "dead",
      "loss recovered",
      "loss clean",
      "loss spliced",
      "loss with zeros",
    ],
    rows: saes.map((sae) => [
      sae.model,
      sae.layer,
      sae.F,
      sae.l0,
      sae.fve,
      sae.dead,
      recoveredBy(sae),
      sae.lossClean,
      sae.lossSpliced,
      sae.lossZero,
    ]),
    notes: [
      `Trained on ${trainingTokens} tokens; measured on ${saes[0]?.tokens ?? 0} tokens of texts kept from the training. Loss recovered: (zeros - spliced) / (zeros - clean), next-token cross-entropy in nats; none where zeros in the place of ${siteWords[site].place} cost less than ${LEAST_COST} nats, of which there is no share to speak of.`,
    ],
  };
}

function errorTable({ saes }: Autoencoders, source: Source): Table {
  return {
    id: "tables-11-12",
    title: "Sparsity and reconstruction error, beside Tables 11 and 12",
    source,
    columns: ["", "sparsity (L0 / 100)", "reconstruction (mean squared error)"],
    rows: [
      ...saes.map((sae) => [
        `${sae.model}, layer ${sae.layer}, ${sae.F} features`,
        sae.tableSparsity,
        sae.meanSquaredError,
      ]),
      ...table11and12.map((row) => [...row]),
    ],
    notes: [
      "The paper's are means over five layers of other models, whose activations have other sizes: only rows of one model compare.",
    ],
  };
}

function twinTable({ similarities }: Autoencoders, baselines: Similarity["baselines"], source: Source): Table {
  const baselineOf = (model: string, layer: number) =>
    baselines.find((one) => one.model === model && one.layer === layer);
  return {
    id: "similarity",
    title: "Similarity of the two sizes",
    source,
    columns: [
      "model",
      "layer",
      "small",
      "big",
      "mean max cosine (MMCS)",
      "small with random",
      "random with random",
      "features above 0.9",
    ],
    rows: similarities.map(({ model, layer, small, big, meanMaxCosine, matches }) => [
      model,
      layer,
      small,
      big,
      meanMaxCosine,
      baselineOf(model, layer)?.withRandom ?? null,
      baselineOf(model, layer)?.random ?? null,
      matches.filter(({ cosine }) => cosine > 0.9).length,
    ]),
    notes: [
      "Each feature of the small dictionary is matched to a different one of the big dictionary so that the total cosine of decoder rows is largest. " +
        "Random: a big (and a small) dictionary of as many random directions, matched in the same way: what dictionaries with nothing in common score.",
    ],
  };
}

/** Nats a token that zeros in the place of the activations must cost for a share of them to mean something. */
const LEAST_COST = 0.01;

/** Loss recovered; null where there was hardly any to recover, so that the ratio is of two roundings. */
function recoveredBy({ lossRecovered, lossZero, lossClean }: Autoencoders["saes"][number]): number | null {
  return lossZero - lossClean < LEAST_COST ? null : lossRecovered;
}

/** One line for the top of the report. */
export function saeFinding({ saes }: Autoencoders): string {
  const range = (values: readonly number[]): string =>
    `${showCell(Math.min(...values))} to ${showCell(Math.max(...values))}`;
  const recovered = saes.flatMap((sae) => recoveredBy(sae) ?? []);
  return `${saes.length} autoencoders explain ${range(saes.map(({ fve }) => fve))} of the variance with ${range(saes.map(({ l0 }) => l0))} active features a token${recovered.length === 0 ? "" : ` and recover ${range(recovered)} of the loss`}.`;
}

/**
 * A warning for the top of a report whose dictionaries are mostly dead: results from their features say little.
 * Undefined if none is.
 */
export function deadFinding({ saes }: Pick<Autoencoders, "saes">): string | undefined {
  const dead = saes.filter((sae) => 2 * sae.dead > sae.F);
  const worst = dead.toSorted((a, b) => b.dead / b.F - a.dead / a.F)[0];
  if (worst === undefined) return undefined;
  return (
    `Most features are dead in ${dead.length} of ${saes.length} autoencoders: ${worst.dead} of ${worst.F} features never fire (${worst.model}, layer ${worst.layer}). ` +
    "What follows from features says little. Lower sae.learningRate, or ask for less sparsity (the coefficient of sae.sparsity, or a larger k), and run again."
  );
}
