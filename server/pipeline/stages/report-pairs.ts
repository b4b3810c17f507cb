import { join } from "node:path";
import { writeFileAtomically } from "../../common/atomic-file.ts";
import { defaultSite, type Site } from "../../models/sites.ts";
import { loadProbe } from "../../probe/format.ts";
import type { Stage } from "../../runs/stage.ts";
import { keyInPath } from "../../runs/stage-folder.ts";
import { preferredFrom } from "../../tasks/pairs/preferred-words.ts";
import { type PairTask, pairTasks } from "../../tasks/tasks.ts";
import { ablationFile, ablationSchema } from "../artifacts/ablation.ts";
import { autoencodersSchema, qualityFile } from "../artifacts/autoencoders.ts";
import { readAnswers } from "../artifacts/collected-answers.ts";
import { readContrastCounts } from "../artifacts/contrasts.ts";
import { divergenceFile, divergenceSchema } from "../artifacts/divergence.ts";
import { explanationsFile, explanationsSchema } from "../artifacts/explanations.ts";
import { readJson, writeJson } from "../artifacts/json-files.ts";
import { readPairEvaluation } from "../artifacts/pair-evaluation.ts";
import { readPairCounts } from "../artifacts/pairs.ts";
import { similarityFile, similaritySchema } from "../artifacts/similarity.ts";
import { ablationFinding } from "../report/ablation-finding.ts";
import { ablationSection } from "../report/ablation-section.ts";
import { contrastsSection } from "../report/contrasts-section.ts";
import { divergenceSection } from "../report/divergence-section.ts";
import { type Fact, type Report, renderMarkdown, reportSchema, type Source } from "../report/document.ts";
import { explanationSection, explanationsFinding } from "../report/explanation-section.ts";
import {
  pairDataFinding,
  pairDataSection,
  preferenceFinding,
  preferenceSection,
  withPairCounts,
} from "../report/pairs-section.ts";
import { probeInReport } from "../report/probe-reports.ts";
import { deadFinding, saeFinding, saeSection } from "../report/sae-section.ts";
import { ofAnswers, separabilityFigure, withFigure } from "../report/separability.ts";

export interface ReportPairsSettings {
  readonly run: string;
  readonly seed: number;
  readonly task: PairTask;
  /** What the dictionaries encode; the usual site if it is not said. */
  readonly site?: Site;
  /** Facts about the experiment, for the head. */
  readonly about: readonly Fact[];
}

/** Stages that a report on pairs reads; `features` are those collected from the tuned model. */
export type PairReportInput =
  | "texts"
  | "evaluate"
  | "divergence"
  | "autoencoders"
  | "similarity"
  | "contrasts"
  | "features"
  | "probe"
  | "explain"
  | "ablate";

/** Joins the findings of a run on pairs into one document. */
export const reportPairsStage: Stage<ReportPairsSettings, PairReportInput> = {
  name: "report-pairs",
  codeVersion: 2,
  run: async ({ settings, input, output }) => {
    const { run, seed, site = defaultSite } = settings;
    const sourceOf = (stage: PairReportInput): Source => ({ run, stage, key: keyInPath(input(stage)), seed });
    const counts = await readPairCounts(input("texts"));
    const evaluation = await readPairEvaluation(input("evaluate"));
    const divergence = await readJson(input("divergence"), divergenceFile, divergenceSchema);
    const saes = await readJson(input("autoencoders"), qualityFile, autoencodersSchema);
    const similarity = await readJson(input("similarity"), similarityFile, similaritySchema);
    const { report: probe } = await loadProbe(input("probe"));
    const read = probeInReport(probe, sourceOf("probe"), 0);
    const given = contrastsSection(await readContrastCounts(input("contrasts")), sourceOf("contrasts"));
    const { features, contrasts } = await readAnswers(input("features"));
    const separability = separabilityFigure({ ...features, triples: contrasts }, sourceOf("features"), ofAnswers);
    const explanations = await readJson(input("explain"), explanationsFile, explanationsSchema);
    const ablation = await readJson(input("ablate"), ablationFile, ablationSchema);
    const dead = deadFinding(saes);
    const report: Report = reportSchema.parse({
      format: 1,
      run,
      seed,
      about: withPairCounts(settings.about, counts),
      summary: [
        ...(dead === undefined ? [] : [dead]),
        preferenceFinding(evaluation),
        pairDataFinding(counts),
        saeFinding(saes),
        read.finding,
        explanationsFinding(explanations),
        ablationFinding(ablation),
      ],
      sections: [
        preferenceSection(evaluation, sourceOf("evaluate")),
        pairDataSection(counts, sourceOf("texts")),
        divergenceSection(divergence, null, sourceOf("divergence")),
        saeSection(saes, similarity, site, sourceOf("autoencoders")),
        ...(given === undefined ? [] : [given]),
        withFigure(read.section, separability),
        explanationSection(explanations, saes.similarities, sourceOf("explain"), {
          rated: ratedHere,
          showsTexts: pairTasks[settings.task].warning === null,
        }),
        ablationSection(ablation, sourceOf("ablate")),
      ],
    });
    await writeJson(output, "report.json", report);
    await writeFileAtomically(join(output, "report.md"), renderMarkdown(report));
  },
};

/** What stands in for rated words: see `preferredWords`. */
const ratedHere = `words that chosen and rejected answers of the tuning pairs have unequally often (log-odds with a z of ${preferredFrom} or more to either side)`;
