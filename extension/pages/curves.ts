import { basename, join } from "node:path";
import * as vscode from "vscode";
import { CurvesPage } from "../../server/protocol/run-pages.ts";
import { RunSeries } from "../../server/protocol/runs.ts";
import type { Extension } from "../context.ts";
import type { PageHost } from "./panels.ts";
import { saveFigure } from "./save.ts";

/** Maximum number of log lines per message, so that a page's first paint does not wait for a long run's whole log. */
export const MOST_LOG_LINES = 2000;

export function curvesHost(extension: Extension): PageHost<"curves"> {
  return ({ runFolder: folder }, panel) => {
    const { model } = extension.runs;
    const head = () => {
      const run = model.get(folder);
      return { name: run?.name ?? basename(folder), state: run?.state ?? { kind: "new" as const } };
    };
    panel.title(`Curves: ${basename(folder)}`);
    panel.answer(CurvesPage, {
      open: async () => {
        await model.all();
        return head();
      },
      series: async ({ offset }) =>
        await extension.server.request(RunSeries, { folder, offset, maxLines: MOST_LOG_LINES }),
      openLog: async () => {
        await vscode.window.showTextDocument(vscode.Uri.file(join(folder, "log.jsonl")));
        return {};
      },
      save: async (figure) => await saveFigure({ folder, name: basename(folder) }, figure),
    });
    return model.onDidChange((folders) => {
      if (folders?.includes(folder) ?? true) panel.tell("changed", head());
    });
  };
}
