import { basename } from "node:path";
import * as vscode from "vscode";
import { FeaturePage } from "../../server/protocol/feature-pages.ts";
import { TryFeature } from "../../server/protocol/features.ts";
import type { Extension } from "../context.ts";
import { explainFeatures } from "../features/explain.ts";
import { compareFeature, measureAblation } from "../features/feature-actions.ts";
import { openSource } from "../features/open-source.ts";
import type { PageHost } from "./panels.ts";

export function featureHost(extension: Extension): PageHost<"feature"> {
  return ({ runFolder, id }, panel) => {
    const { features, featureOrder, ablation, pages, server } = extension;
    const place = { runFolder, id };
    const subject = (other: string) => ({ page: "feature" as const, runFolder, id: other });
    const done = async (doing: Promise<unknown>) => {
      await doing;
      return {};
    };
    /** A preview in which somebody does something stays, as one of a file that is edited does. */
    const kept = async <T>(doing: Promise<T>): Promise<T> => {
      panel.keepOpen();
      return await doing;
    };
    panel.title(`${id} · ${basename(runFolder)}`);
    panel.answer(FeaturePage, {
      open: async () => ({
        runName: basename(runFolder),
        detail: await features.describe(place),
        ablatedBy: await ablation.factorOf(place),
        neighbours: await featureOrder.neighbours(place),
        isPreview: panel.isPreview,
      }),
      openFeature: async (other) => await done(pages.show(subject(other.id), { preview: true })),
      go: async (other) => await done(panel.go(subject(other.id))),
      keepOpen: async () => {
        panel.keepOpen();
        return {};
      },
      openSource: async (example) => await done(openSource(extension, runFolder, example)),
      annotate: async ({ id: _, ...annotation }) => await kept(features.annotate(place, annotation)),
      tryText: async ({ text }) => await kept(server.request(TryFeature, { ...place, text })),
      explain: async () => await kept(done(explainFeatures(extension, runFolder, [id]))),
      ablate: async ({ factor }) =>
        await kept(done(factor === null ? ablation.remove(place) : ablation.add(place, factor))),
      measure: async ({ factor }) => await kept(done(measureAblation(extension, place, factor))),
      compare: async ({ factor }) => await kept(done(compareFeature(extension, place, factor))),
    });
    return vscode.Disposable.from(
      ablation.onDidChange(() => panel.tell("changed", {})),
      features.onDidChange((folder) => {
        if (folder === runFolder) panel.tell("changed", {});
      }),
    );
  };
}
