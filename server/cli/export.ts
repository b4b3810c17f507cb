import { parseHubReference } from "../models/hub.ts";
import { type ExportResult, exportRun, usualExportOptions } from "../pipeline/finished/export/export-run.ts";
import { ExportKind } from "../protocol/exports.ts";
import { type CommandResult, defineCommand } from "./command.ts";
import { UsageError } from "./errors.ts";
import { option } from "./options.ts";
import { existingRun } from "./status.ts";

export const exportCommand = defineCommand({
  usage: "RUN --hub DIR | --neuronpedia DIR [options]",
  about:
    "Writes a finished run as other programs take it; sends nothing anywhere. --hub: a repository for the Hugging Face hub, with the tuned model or its adapter, " +
    "dictionaries as SAELens loads them, report, experiment and a model card; `hf upload OWNER/NAME DIR` takes it as it is, but look through it first, and name a licence. " +
    "--neuronpedia: every feature with its examples and explanations, in the files that Neuronpedia imports.\n\n" +
    "DIR is written whole or not at all. It must not exist yet, or be empty, or be an earlier export of the same kind that nobody has changed, which is replaced.",
  options: {
    hub: option.text("DIR", "write a repository for the Hugging Face hub"),
    neuronpedia: option.text("DIR", "write the features for Neuronpedia"),
    repository: option.text("OWNER/NAME", "the hub repository that --hub's folder becomes, which both then name"),
    base: option.text("OWNER/NAME", "the base model's hub id (default: as the run names it)"),
    merged: option.flag("with --hub: export adapters merged into the weights"),
    creator: option.text("ID", "with --neuronpedia: id of the user there whom the features belong to"),
  },
  positionals: ["RUN"],
  run: async ({ options: chosen, positionals: [run = ""], signal }): Promise<CommandResult> => {
    const wanted = ExportKind.options.flatMap((kind) => {
      const to = chosen[kind];
      return to === undefined ? [] : [{ kind, to }];
    });
    if (wanted.length === 0)
      throw new UsageError("--hub DIR or --neuronpedia DIR is missing: say what to write, and where");
    if (chosen.hub === undefined && chosen.merged) throw new UsageError("--merged goes with --hub");
    if (chosen.neuronpedia === undefined && chosen.creator !== undefined)
      throw new UsageError("--creator goes with --neuronpedia");
    const folder = await existingRun(run);
    const options = {
      ...usualExportOptions,
      base: hubIdIn(chosen.base),
      repository: hubIdIn(chosen.repository),
      merged: chosen.merged,
      ...(chosen.creator === undefined ? {} : { creator: chosen.creator }),
      signal,
    };
    const exported: ExportResult[] = [];
    for (const { kind, to } of wanted) exported.push(await exportRun(folder, kind, to, options));
    return { json: { exported }, text: exported.map(inWords).join("\n\n") };
  },
});

function hubIdIn(text: string | undefined): string | null {
  return text === undefined ? null : parseHubReference(text).id;
}

function inWords({ folder, files, bytes, notes }: ExportResult): string {
  const size = `${Number((bytes / 1e6).toPrecision(3))} MB`;
  return [`${folder}: ${files} files, ${size}`, ...notes.map((note) => `  ${note}`)].join("\n");
}
