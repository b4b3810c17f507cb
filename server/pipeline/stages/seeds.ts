import { join } from "node:path";
import { writeFileAtomically } from "../../common/atomic-file.ts";
import type { Stage } from "../../runs/stage.ts";
import { keyInPath } from "../../runs/stage-folder.ts";
import { type HeadlineStage, readHeadlines } from "../artifacts/headlines.ts";
import { writeJson } from "../artifacts/json-files.ts";
import { seedsFile } from "../artifacts/seeds.ts";
import { renderMarkdown, reportSchema } from "../report/document.ts";
import { figuresOverSeeds, type SeedRun, seedsReport } from "../report/seeds-report.ts";

export interface SeedsSettings {
  readonly run: string;
  readonly runs: readonly Omit<SeedRun, "figures">[];
  /** The input with a stage's file of a seed's run; absent if that run lacks it. */
  readonly files: readonly { readonly seed: number; readonly stage: HeadlineStage; readonly input: string }[];
}

/** Joins the headline figures of one experiment's runs with several seeds into one report. */
export const seedsStage: Stage<SeedsSettings, string> = {
  name: "seeds",
  codeVersion: 2,
  run: async ({ settings, input, output }) => {
    const runs: SeedRun[] = [];
    for (const one of settings.runs) {
      const files = settings.files.filter(({ seed }) => seed === one.seed);
      const paths = Object.fromEntries(files.map(({ stage, input: name }) => [stage, input(name)]));
      runs.push({ ...one, figures: await readHeadlines(paths) });
    }
    const seeds = runs.map(({ seed }) => seed);
    const source = { run: settings.run, stage: "seeds", key: keyInPath(output), seed: seeds[0] ?? 0, seeds };
    const report = reportSchema.parse(seedsReport(settings.run, runs, source));
    await writeJson(output, seedsFile, { runs, figures: figuresOverSeeds(runs) });
    await writeJson(output, "report.json", report);
    await writeFileAtomically(join(output, "report.md"), renderMarkdown(report));
  },
};
