import { basename } from "node:path";
import * as vscode from "vscode";
import { ComparePage } from "../../server/protocol/compare-page.ts";
import { CompareRuns } from "../../server/protocol/comparison.ts";
import { RunSeries } from "../../server/protocol/runs.ts";
import { showDifference } from "../compare-learned.ts";
import type { Extension } from "../context.ts";
import { MOST_LOG_LINES } from "./curves.ts";
import type { PageHost } from "./panels.ts";
import { saveFigure, saveFile } from "./save.ts";

/** Time over which changes of running runs are told once: each reads all runs again. */
const TELL_MS = 2000;

export function compareHost(extension: Extension): PageHost<"compare"> {
  return ({ runFolders: folders }, panel) => {
    const { server, runs, pages } = extension;
    const names = folders.map((folder) => basename(folder));
    const first = folders[0] ?? "";
    const name = `compare-${names.slice(0, 3).join("-")}`;
    const compare = async () => await server.request(CompareRuns, { folders: [...folders] });
    panel.title(`Compare: ${names.length > 3 ? `${names.length} runs` : names.join(", ")}`);
    panel.answer(ComparePage, {
      open: async () => (await compare()).comparison,
      series: async ({ run, offset }) =>
        await server.request(RunSeries, { folder: folderAt(folders, run), offset, maxLines: MOST_LOG_LINES }),
      save: async (figure) => await saveFigure({ folder: first, name }, figure),
      saveComparison: async ({ format }) => {
        const { csv, markdown } = await compare();
        const file = { runFolder: first, name, extension: format === "csv" ? "csv" : "md" };
        const text = format === "csv" ? csv : markdown;
        return { saved: await saveFile(file, async () => new TextEncoder().encode(text)) };
      },
      showDifference: async ({ a, b }) => {
        await showDifference(extension, folderAt(folders, a), folderAt(folders, b));
        return {};
      },
      openReport: async ({ run }) => {
        await pages.show({ page: "report", runFolder: folderAt(folders, run) });
        return {};
      },
    });
    let telling: NodeJS.Timeout | undefined;
    const listening = runs.model.onDidChange((changed) => {
      if (changed !== undefined && !changed.some((folder) => folders.includes(folder))) return;
      telling ??= setTimeout(() => {
        telling = undefined;
        panel.tell("changed", {});
      }, TELL_MS);
    });
    return new vscode.Disposable(() => {
      clearTimeout(telling);
      listening.dispose();
    });
  };
}

function folderAt(folders: readonly string[], run: number): string {
  const folder = folders[run];
  if (folder === undefined)
    throw new Error(`The page compares ${folders.length} runs and asked for number ${run + 1}.`);
  return folder;
}
