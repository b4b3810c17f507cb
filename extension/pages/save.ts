/** Saves files from pages; the person chooses the path. */
import { dirname, join } from "node:path";
import * as vscode from "vscode";
import type { z } from "zod";
import type { SaveFigure } from "../../server/protocol/run-pages.ts";

const filters: Readonly<Record<string, string>> = {
  svg: "SVG picture",
  png: "PNG picture",
  md: "Markdown",
  json: "JSON",
  csv: "CSV table",
};

/** Asks for a path, suggesting the run's folder, and writes the file there; false if the person cancels. */
export async function saveFile(
  { runFolder, name, extension }: { readonly runFolder: string; readonly name: string; readonly extension: string },
  content: () => Promise<Uint8Array>,
): Promise<boolean> {
  const uri = await vscode.window.showSaveDialog({
    defaultUri: vscode.Uri.file(join(dirname(dirname(runFolder)), `${name}.${extension}`)),
    filters: { [filters[extension] ?? extension]: [extension] },
  });
  if (uri === undefined) return false;
  await vscode.workspace.fs.writeFile(uri, await content());
  return true;
}

/** Saves a figure that a page drew. */
export async function saveFigure(
  run: { readonly folder: string; readonly name: string },
  figure: z.output<typeof SaveFigure.params>,
): Promise<{ saved: boolean }> {
  const bytes = figure.format === "png" ? Buffer.from(figure.base64, "base64") : new TextEncoder().encode(figure.text);
  const saved = await saveFile(
    { runFolder: run.folder, name: `${run.name}-${figure.figure}`, extension: figure.format },
    async () => bytes,
  );
  return { saved };
}
