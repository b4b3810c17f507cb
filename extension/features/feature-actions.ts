/** Actions on one feature, from its page, the view or the palette. */
import { randomUUID } from "node:crypto";
import * as vscode from "vscode";
import * as z from "zod";
import { type AblationSet, FeatureId } from "../../server/protocol/ablation.ts";
import type { FeatureDetail, MeasuredEffect } from "../../server/protocol/features.ts";
import { showCompletions } from "../completions.ts";
import type { Extension } from "../context.ts";
import { explainFeatures } from "./explain.ts";
import type { FeaturePlace } from "./features-model.ts";
import { findFeature } from "./find-feature.ts";
import { withJob } from "./jobs.ts";

/** Number of held-out prompts on which an ablation is measured, as in the paper's table and the design. */
const prompts = 256;

export const featureActions = {
  "lfpLens.findFeature": async (extension: Extension) => {
    const place = await placeOf(extension, undefined, "LFP Lens: find a feature");
    if (place !== undefined) await extension.pages.show({ page: "feature", ...place });
  },
  "lfpLens.openFeatures": async (extension: Extension, clicked?: unknown) => {
    const runFolder = folderOf(clicked) ?? (await featuresRunOrSay(extension));
    if (runFolder !== undefined) await extension.pages.show({ page: "features", runFolder });
  },
  "lfpLens.explainFeature": async (extension: Extension, clicked?: unknown) => {
    const place = await placeOf(extension, clicked, "LFP Lens: which feature is to be explained?");
    if (place !== undefined) await explainFeatures(extension, place.runFolder, [place.id]);
  },
  "lfpLens.explainFeatures": async (extension: Extension) => {
    const runFolder = await featuresRunOrSay(extension);
    if (runFolder !== undefined) await explainFeatures(extension, runFolder, null);
  },
  "lfpLens.labelFeature": async (extension: Extension, clicked?: unknown) => {
    const place = await placeOf(extension, clicked, "LFP Lens: which feature gets labels?");
    if (place !== undefined) await labelFeature(extension, place);
  },
  "lfpLens.addFeatureNote": async (extension: Extension, clicked?: unknown) => {
    const place = await placeOf(extension, clicked, "LFP Lens: which feature is the note about?");
    if (place !== undefined) await noteFeature(extension, place);
  },
  "lfpLens.pinFeature": async (extension: Extension, clicked?: unknown) => await pin(extension, clicked, true),
  "lfpLens.unpinFeature": async (extension: Extension, clicked?: unknown) => await pin(extension, clicked, false),
  "lfpLens.measureAblation": async (extension: Extension, clicked?: unknown) => {
    const place = await placeOf(extension, clicked, "LFP Lens: the ablation of which feature is to be measured?");
    if (place !== undefined) await measureAblation(extension, place, 0);
  },
} as const;

/** Measures the ablation of one feature with its controls, and notifies the views of the store's new numbers. */
export async function measureAblation(
  extension: Extension,
  { runFolder, id }: FeaturePlace,
  factor: number,
): Promise<void> {
  await measureFeatures(extension, runFolder, [{ id, factor }], id);
}

/**
 * Measures an ablation of several features at once with its controls, and notifies the views of the store's new
 * numbers. Undefined if the person cancels it.
 */
export async function measureFeatures(
  extension: Extension,
  runFolder: string,
  features: AblationSet["features"],
  name: string,
): Promise<readonly MeasuredEffect[] | undefined> {
  const { MeasureAblation } = await import("../../server/protocol/features.ts");
  const job = randomUUID();
  const question = { runFolder, features, prompts, seed: 1, job };
  const measured = await withJob(extension, job, `measuring ${name}`, async (token) =>
    extension.server.request(MeasureAblation, question, token),
  );
  extension.features.tellChanged(runFolder);
  return measured?.ablations;
}

/** Continues the beginnings of a feature's own strongest examples, with and without it. */
export async function compareFeature(extension: Extension, place: FeaturePlace, factor: number): Promise<void> {
  const beginnings = promptsOf(await extension.features.describe(place));
  if (beginnings.length === 0) throw new Error("The feature has no examples to continue.");
  const ablation: AblationSet = {
    format: "lfp-ablation/1",
    name: place.id,
    note: "",
    features: [{ id: place.id, factor }],
  };
  const what = factor === 0 ? `ablating ${place.id}` : `scaling ${place.id} by ${factor}`;
  await showCompletions(extension, { prompts: beginnings, ablation, title: `Completions: before and after ${what}` });
}

/** Beginnings of the strongest examples, cut after the peak token, so that the feature affects what follows. */
export function promptsOf({ examples }: FeatureDetail): string[] {
  const strongest = examples.find(({ group }) => group === "top")?.examples ?? [];
  const texts = strongest.map(({ tokens, peak }) =>
    tokens
      .slice(0, peak + 1)
      .join("")
      .trim(),
  );
  return [...new Set(texts.filter((text) => text !== ""))].slice(0, 8);
}

async function labelFeature({ features }: Extension, place: FeaturePlace): Promise<void> {
  const { row } = await features.describe(place);
  const text = await vscode.window.showInputBox({
    title: `Labels of ${place.id}`,
    prompt: "Separated by commas",
    value: row.labels.join(", "),
  });
  if (text === undefined) return;
  const labels = [...new Set(text.split(",").map((label) => label.trim()))].filter((label) => label !== "");
  await features.annotate(place, { labels });
}

async function noteFeature({ features }: Extension, place: FeaturePlace): Promise<void> {
  const { note } = await features.describe(place);
  const text = await vscode.window.showInputBox({
    title: `Note on ${place.id}`,
    prompt: "Kept in the run's folder",
    value: note,
  });
  if (text !== undefined) await features.annotate(place, { note: text });
}

async function pin(extension: Extension, clicked: unknown, pinned: boolean): Promise<void> {
  const place = await placeOf(extension, clicked, pinned ? "LFP Lens: pin a feature" : "LFP Lens: unpin a feature");
  if (place !== undefined) await extension.features.annotate(place, { pinned });
}

/** The clicked feature, else one that the person searches for. */
async function placeOf(extension: Extension, clicked: unknown, title: string): Promise<FeaturePlace | undefined> {
  const parsed = Place.safeParse(clicked);
  if (parsed.success) return parsed.data;
  const runFolder = await featuresRunOrSay(extension);
  return runFolder === undefined ? undefined : await findFeature(extension, runFolder, title);
}

const Place = z.object({ runFolder: z.string(), id: FeatureId });

/** Folder of the clicked row in the Runs view; undefined for anything else. */
function folderOf(clicked: unknown): string | undefined {
  return z.object({ folder: z.string() }).safeParse(clicked).data?.folder;
}

async function featuresRunOrSay(extension: Extension): Promise<string | undefined> {
  const runFolder = await extension.featuresRun();
  if (runFolder === undefined)
    void vscode.window.showInformationMessage(
      "LFP Lens: no finished run with features is open. Run the quick demo, or choose a run.",
    );
  return runFolder;
}
