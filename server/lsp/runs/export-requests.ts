/** Serves exports of finished runs. */
import { ExportRun } from "../../protocol/exports.ts";
import type { Dispatcher } from "../dispatch.ts";
import type { Session } from "../session.ts";

export function serveExports(dispatcher: Dispatcher, session: Session): void {
  dispatcher.request(ExportRun, async ({ folder: asked, kind, to }, { signal }) => {
    session.requireTrust("Exporting a run");
    const run = await session.checkRun(asked);
    const { exportRun, usualExportOptions } = await import("../../pipeline/finished/export/export-run.ts");
    const { folder, files, bytes, notes } = await exportRun(run, kind, to, { ...usualExportOptions, signal });
    return { folder, files, bytes, notes: [...notes] };
  });
}
