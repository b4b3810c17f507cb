import { basename } from "node:path";
import * as vscode from "vscode";
import { FeaturePage } from "../../server/protocol/feature-pages.ts";
import { TryFeature } from "../../server/protocol/features.ts";
import type { Extension } from "../context.ts";
import { explainFeatures } from "../features/explain.ts";
import { compareFeature, measureAblation } from "../features/feature-actions.ts";
import type { PageHost } from "./panels.ts";

export function featureHost(extension: Extension): PageHost<"feature"> {
  return ({ runFolder, id }, panel) => {
    const { features, ablation, pages, server } = extension;
    const place = { runFolder, id };
    const done = async (doing: Promise<unknown>) => {
      await doing;
      return {};
    };
    panel.title(`${id} · ${basename(runFolder)}`);
    panel.answer(FeaturePage, {
      open: async () => ({
        runName: basename(runFolder),
        detail: await features.describe(place),
        ablatedBy: await ablation.factorOf(place),
      }),
      openFeature: async (other) => await done(pages.show({ page: "feature", runFolder, id: other.id })),
      annotate: async ({ id: _, ...annotation }) => await features.annotate(place, annotation),
      tryText: async ({ text }) => await server.request(TryFeature, { ...place, text }),
      explain: async () => await done(explainFeatures(extension, runFolder, [id])),
      ablate: async ({ factor }) => await done(factor === null ? ablation.remove(place) : ablation.add(place, factor)),
      measure: async ({ factor }) => await done(measureAblation(extension, place, factor)),
      compare: async ({ factor }) => await done(compareFeature(extension, place, factor)),
    });
    return vscode.Disposable.from(
      ablation.onDidChange(() => panel.tell("changed", {})),
      features.onDidChange((folder) => {
        if (folder === runFolder) panel.tell("changed", {});
      }),
    );
  };
}
