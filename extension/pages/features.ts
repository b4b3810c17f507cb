import { basename } from "node:path";
import { FeaturesPage } from "../../server/protocol/feature-pages.ts";
import type { FeatureQuery, FeatureRow } from "../../server/protocol/features.ts";
import type { Extension } from "../context.ts";
import { explainFeatures } from "../features/explain.ts";
import { featuresAsCsv } from "./features-csv.ts";
import type { PageHost } from "./panels.ts";
import { saveFile } from "./save.ts";

export function featuresHost(extension: Extension): PageHost<"features"> {
  return ({ runFolder }, panel) => {
    const { features, pages } = extension;
    const name = basename(runFolder);
    panel.title(`Features: ${name}`);
    panel.answer(FeaturesPage, {
      open: async () => ({ runName: name, store: await features.store(runFolder) }),
      query: async ({ query, offset, count }) => await features.query(runFolder, query, { offset, count }),
      annotate: async ({ id, ...annotation }) => await features.annotate({ runFolder, id }, annotation),
      openFeature: async ({ id, query, keep }) => {
        extension.featureOrder.note(runFolder, query);
        await pages.show({ page: "feature", runFolder, id }, { preview: !keep });
        return {};
      },
      explain: async ({ ids }) => {
        await explainFeatures(extension, runFolder, ids);
        return {};
      },
      save: async ({ format, query }) => ({
        saved: await saveFile({ runFolder, name: `${name}-features`, extension: format }, async () => {
          const rows = await allRows(extension, runFolder, query);
          const text = format === "csv" ? featuresAsCsv(rows) : `${JSON.stringify(rows, undefined, 1)}\n`;
          return new TextEncoder().encode(text);
        }),
      }),
    });
    return features.onDidChange((folder) => {
      if (folder === runFolder) panel.tell("changed", {});
    });
  };
}

async function allRows({ features }: Extension, runFolder: string, query: FeatureQuery): Promise<FeatureRow[]> {
  const rows: FeatureRow[] = [];
  for (;;) {
    const page = await features.query(runFolder, query, { offset: rows.length, count: 500 });
    rows.push(...page.rows);
    if (page.rows.length === 0 || rows.length >= page.total) return rows;
  }
}
