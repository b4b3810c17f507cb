import { join } from "node:path";
import { writeFileAtomically } from "../../common/atomic-file.ts";
import { learnedSchema } from "../../learned/report-types.ts";
import { defaultSite, type Site } from "../../models/sites.ts";
import { loadProbe, loadRegression } from "../../probe/format.ts";
import type { RewardEdit } from "../../rewards/edits.ts";
import type { Stage } from "../../runs/stage.ts";
import { keyInPath } from "../../runs/stage-folder.ts";
import { ablationFile, ablationSchema } from "../artifacts/ablation.ts";
import { autoencodersSchema, qualityFile } from "../artifacts/autoencoders.ts";
import { readCollected } from "../artifacts/collected.ts";
import { divergenceFile, divergenceSchema } from "../artifacts/divergence.ts";
import { evaluationFile, evaluationSchema } from "../artifacts/evaluation.ts";
import { explanationsFile, explanationsSchema } from "../artifacts/explanations.ts";
import { readJson, writeJson } from "../artifacts/json-files.ts";
import { learnedFile } from "../artifacts/learned.ts";
import { restoreFile, restoreSchema } from "../artifacts/restore.ts";
import { similarityFile, similaritySchema } from "../artifacts/similarity.ts";
import { countsFile, countsSchema } from "../artifacts/texts.ts";
import { type RewardSettings, ratingsOf } from "../feedback.ts";
import { ablationFinding } from "../report/ablation-finding.ts";
import { ablationSection } from "../report/ablation-section.ts";
import { type TextCounts, withTextCounts } from "../report/about.ts";
import { divergenceSection, gainFinding, gainSection } from "../report/divergence-section.ts";
import { type Fact, type Report, renderMarkdown, reportSchema, type Source } from "../report/document.ts";
import { explanationSection, explanationsFinding } from "../report/explanation-section.ts";
import { fittedFinding, fittedSection } from "../report/fitted-section.ts";
import { learnedFinding, learnedSection } from "../report/learned-section.ts";
import { probeInReport } from "../report/probe-reports.ts";
import { editsFinding, rewardFinding, rewardSection } from "../report/reward-section.ts";
import { deadFinding, saeFinding, saeSection } from "../report/sae-section.ts";
import { separabilityFigure, withFigure } from "../report/separability.ts";

export interface ReportSettings {
  readonly run: string;
  readonly seed: number;
  /** Words of the reconstructed lexicon to show. */
  readonly words: number;
  /** If the reward was edited for tuning: the reward without its edits, and the edits. */
  readonly edited?: { readonly reward: RewardSettings; readonly edits: readonly RewardEdit[] };
  /** What the dictionaries encode; the usual site if it is not said. */
  readonly site?: Site;
  /** Facts about the experiment, for the head. */
  readonly about: readonly Fact[];
}

/** Stages that a report reads; `features` are those collected from the tuned model. */
export type ReportInput =
  | "texts"
  | "evaluate"
  | "divergence"
  | "restore"
  | "learned"
  | "autoencoders"
  | "similarity"
  | "probe"
  | "fitted"
  | "features"
  | "explain"
  | "ablate";

/** Joins the stages' findings into one document. */
export const reportStage: Stage<ReportSettings, ReportInput> = {
  name: "report",
  codeVersion: 13,
  run: async ({ settings, input, output }) => {
    const { run, seed, edited, site = defaultSite } = settings;
    const planted = edited === undefined ? undefined : { edits: edited.edits, ratings: ratingsIn(edited.reward) };
    const sourceOf = (stage: ReportInput): Source => ({ run, stage, key: keyInPath(input(stage)), seed });
    const evaluation = await readJson(input("evaluate"), evaluationFile, evaluationSchema);
    const divergence = await readJson(input("divergence"), divergenceFile, divergenceSchema);
    const restored = await readJson(input("restore"), restoreFile, restoreSchema);
    const learned = await readJson(input("learned"), learnedFile, learnedSchema);
    const similarity = await readJson(input("similarity"), similarityFile, similaritySchema);
    const saes = await readJson(input("autoencoders"), qualityFile, autoencodersSchema);
    const { report: probe } = await loadProbe(input("probe"));
    const { report: fitted } = await loadRegression(input("fitted"));
    const read = probeInReport(probe, sourceOf("probe"), settings.words);
    const { features } = await readCollected(input("features"));
    const separability = separabilityFigure(features, sourceOf("features"));
    const explanations = await readJson(input("explain"), explanationsFile, explanationsSchema);
    const ablation = await readJson(input("ablate"), ablationFile, ablationSchema);
    const counts: TextCounts = await readJson(input("texts"), countsFile, countsSchema);
    const gain = evaluation.difference;
    const dead = deadFinding(saes);
    const report: Report = reportSchema.parse({
      format: 1,
      run,
      seed,
      about: withTextCounts(settings.about, counts),
      summary: [
        ...(dead === undefined ? [] : [dead]),
        ...(planted === undefined ? [] : [editsFinding(planted)]),
        rewardFinding(evaluation),
        learnedFinding(learned),
        gainFinding(restored, gain, site),
        saeFinding(saes),
        read.finding,
        fittedFinding(fitted),
        explanationsFinding(explanations),
        ablationFinding(ablation),
      ],
      sections: [
        rewardSection(evaluation, sourceOf("evaluate"), planted),
        divergenceSection(divergence, restored, sourceOf("divergence")),
        gainSection(restored, gain, site, sourceOf("restore")),
        saeSection(saes, similarity, site, sourceOf("autoencoders")),
        learnedSection(learned, sourceOf("learned"), settings.words),
        withFigure(read.section, separability),
        fittedSection(fitted, sourceOf("fitted"), settings.words),
        explanationSection(explanations, saes.similarities, sourceOf("explain")),
        ablationSection(ablation, sourceOf("ablate")),
      ],
    });
    await writeJson(output, "report.json", report);
    await writeFileAtomically(join(output, "report.md"), renderMarkdown(report));
  },
};

/** The feedback's ratings of words; empty if it rates none. */
function ratingsIn(reward: RewardSettings): ReadonlyMap<string, number> {
  return ratingsOf(reward)?.values ?? new Map();
}
