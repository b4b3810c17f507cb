import { basename } from "node:path";
import { Report } from "../../server/protocol/report.ts";
import { ReportPage } from "../../server/protocol/run-pages.ts";
import { ReadReport } from "../../server/protocol/runs.ts";
import type { Extension } from "../context.ts";
import type { PageHost } from "./panels.ts";
import { saveFigure, saveFile } from "./save.ts";

export function reportHost(extension: Extension): PageHost<"report"> {
  return ({ runFolder: folder }, panel) => {
    const { server, reports, features } = extension;
    const name = basename(folder);
    const read = async () => await server.request(ReadReport, { folder });
    panel.title(`Report: ${name}`);
    panel.answer(ReportPage, {
      open: async () => Report.parse((await read()).json),
      save: async (figure) => await saveFigure({ folder, name }, figure),
      saveReport: async ({ format }) => {
        const { markdown, json } = await read();
        const text = format === "json" ? `${JSON.stringify(json, undefined, 2)}\n` : markdown;
        const file = { runFolder: folder, name: `${name}-report`, extension: format === "json" ? "json" : "md" };
        return { saved: await saveFile(file, async () => new TextEncoder().encode(text)) };
      },
      openMarkdown: async () => {
        await reports.show(folder);
        return {};
      },
    });
    return features.onDidChange((changed) => {
      if (changed === folder) panel.tell("changed", {});
    });
  };
}
