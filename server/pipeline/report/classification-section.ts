/** What the classification probe tells of liked and disliked answers (Table 3), beside what tells them as well. */
import {
  type AnswerScores,
  type BaselineName,
  baselineNames,
  type ClassificationReport,
  type Estimate,
} from "../../probe/classification-types.ts";
import { type Cell, type Section, type Source, showCell, showPercent, type Table } from "./document.ts";
import { table3 } from "./paper.ts";
import { share } from "./probe-finding.ts";

const inputs: { readonly [K in BaselineName]: string } = {
  length: "length of the answer alone, in tokens",
  bagOfWords: "bag of words of the answer",
  rawActivations: "raw activations of the tuned model",
  baseModel: "features of the base model",
  logRatio: "log-ratio of the answer, summed (the model's own margin)",
};

export function classificationSection(report: ClassificationReport, source: Source): Section {
  return {
    title: "Liked answers and disliked ones, told by the probe",
    text: [readInWords(report), comparedInWords(report), confounded],
    tables: [accuracyTable(report, source), differenceTable(report, source), paperTable(report, source)],
    figures: [],
  };
}

/** One line for the top of the report. */
export function classificationFinding({ probe, baselines, contrasts, groups }: ClassificationReport): string {
  const { value, low, high } = probe.accuracy;
  const beside = baselineNames.flatMap((name) => {
    const scores = baselines[name];
    return scores === null ? [] : [`${showPercent(scores.accuracy.value)} from ${shortNames[name]}`];
  });
  return (
    `Of the answers of ${contrasts} pairs to ${groups} prompts, none of whose prompts it had seen, the probe tells ${showPercent(value)} right as liked or disliked ` +
    `(95 % interval ${showPercent(low)} to ${showPercent(high)}; chance is 50 %); the same classifier tells ${beside.join(", ")}.`
  );
}

const shortNames: { readonly [K in BaselineName]: string } = {
  length: "length alone",
  bagOfWords: "a bag of words",
  rawActivations: "raw activations",
  baseModel: "the base model's features",
  logRatio: "the log-ratio",
};

function readInWords({ contrasts, groups, features, tokens, cut, settings, neutral }: ClassificationReport): string {
  const layers = features.layers.map(({ layer }) => layer).join(", ");
  const neutrals =
    neutral === null
      ? ""
      : ` Of ${neutral.answers} answers to other prompts, which no fit saw, the probe puts ${showPercent(neutral.liked)} on the liked side (mean log-odds ${showCell(neutral.logOdds)}).`;
  return (
    `${contrasts} pairs of answers to ${groups} prompts; ${features.total} features of layers ${layers}, each the mean over the answer's tokens given its prompt. ` +
    `Liked answers have ${showCell(tokens.liked)} tokens on average, disliked ones ${showCell(tokens.disliked)}${cut === 0 ? "" : `; ${cut} texts were too long and lost the beginning of the prompt or the end of the answer`}. ` +
    `Logistic regression on standardised features, in ${settings.folds} folds by prompt: no prompt is on both sides of a fit, and the penalty is chosen by folds by prompt within the training rows.${neutrals}`
  );
}

/** What the probe's accuracy shows, by comparison. */
function comparedInWords({ differences, lengthMatched, shuffledLabels }: ClassificationReport): string {
  const beaten = (name: BaselineName): string => {
    const found = differences[name];
    if (found === null || found.low === null || found.high === null) return "";
    const said =
      found.low > 0
        ? "the probe does better than"
        : found.high < 0
          ? "the probe does worse than"
          : "it is not shown that the probe does better than";
    return `${said} ${shortNames[name]}`;
  };
  const all = baselineNames.map(beaten).filter((said) => said !== "");
  const matched = lengthMatched.probe;
  return [
    all.length === 0 ? "" : `By AUROC on the same answers, ${all.join("; ")}.`,
    "Where the base model's features do as well, the model could tell the answers before tuning; where length or words do, so can anybody who counts.",
    matched === null
      ? "No pair has answers of about the same length."
      : `In the ${lengthMatched.contrasts} pairs whose answers are about equally long, the liked answer scores higher in ${showPercent(matched.pairAccuracy.value)}.`,
    shuffledLabels.shuffles === 0
      ? ""
      : `With labels exchanged at random within pairs, the same fit reaches ${showPercent(shuffledLabels.accuracy.mean)} (${showPercent(shuffledLabels.accuracy.low)} to ${showPercent(shuffledLabels.accuracy.high)}).`,
  ]
    .filter((said) => said !== "")
    .join(" ");
}

const confounded =
  "The paper reports 99.8 to 100 %. Its published code compares original answers with rewritten ones that are cut after 16 tokens, takes the mean over padding too " +
  "(so that a text's length shows in its features), gives the texts without prompts, and splits rows so that answers to one prompt stand on both sides. " +
  "The same helpful-harmless texts serve both tasks there, so the column for toxicity cannot be computed from what is published. Its numbers do not compare with the rows above.";

function accuracyTable(report: ClassificationReport, source: Source): Table {
  const { probe, baselines, shuffledLabels, lengthMatched } = report;
  const row = (what: string, scores: AnswerScores | null): Cell[] =>
    scores === null
      ? [what, null, null, null, null, null, null]
      : [
          what,
          share(scores.accuracy.value),
          interval(scores.accuracy),
          scores.auroc.value,
          ends(scores.auroc),
          share(scores.pairAccuracy.value),
          interval(scores.pairAccuracy),
        ];
  return {
    id: "table-3",
    title: "Answers told right, held out by prompt (Table 3)",
    source,
    columns: ["", "accuracy, %", "95 % interval", "AUROC", "95 % interval", "pairs in order, %", "95 % interval"],
    rows: [
      row("probe on features", probe),
      ...baselineNames.map((name) => row(inputs[name], baselines[name])),
      [
        `labels exchanged within pairs (mean of ${shuffledLabels.shuffles})`,
        share(shuffledLabels.accuracy.mean),
        null,
        shuffledLabels.auroc.mean,
        null,
        null,
        null,
      ],
      row(`probe, ${lengthMatched.contrasts} pairs matched in length`, lengthMatched.probe),
      row("length alone, the same pairs", lengthMatched.length),
    ],
    notes: [
      "Every row is the same classifier with the same folds. Intervals by bootstrap over prompts. Pairs in order: the liked answer scores above the disliked one, a tie counting half. " +
        `Matched in length: neither answer has more than ${report.settings.lengthRatio} times the other's tokens.`,
    ],
  };
}

function differenceTable({ differences }: ClassificationReport, source: Source): Table {
  return {
    id: "classification-differences",
    title: "AUROC on features less AUROC on other inputs",
    source,
    columns: ["", "difference", "95 % low", "95 % high"],
    rows: baselineNames.flatMap((name): Cell[][] => {
      const found = differences[name];
      return found === null ? [] : [[inputs[name], found.value, found.low, found.high]];
    }),
    notes: ["Paired: both are taken over the same resamples of prompts."],
  };
}

function paperTable({ asPublished }: ClassificationReport, source: Source): Table {
  const own: Cell[][] =
    asPublished === null
      ? []
      : [[`this run, as published (${asPublished.testRows} test rows)`, share(asPublished.accuracy), null, null]];
  const shared =
    asPublished === null
      ? "Set classify.asPublished to compute what the published code does, on this run's pairs."
      : `As published: of ${asPublished.testRows} test rows, ${asPublished.sharedGroups} have an answer to their prompt among the training rows; AUROC ${showCell(asPublished.auroc)}.` +
        (asPublished.converged ? "" : " Its 100 iterations on unscaled features ended before the fit converged.");
  return {
    id: "table-3-paper",
    title: "The paper's Table 3, per cent right",
    source,
    columns: ["", "this run's pairs", "helpful-harmless", "toxicity"],
    rows: [...own, ...table3.map(([name = "", ...shares]): Cell[] => [name, null, ...shares])],
    notes: [shared],
  };
}

function interval({ low, high }: Estimate): Cell {
  return low === null || high === null ? null : `${showPercent(low)} to ${showPercent(high)}`;
}

function ends({ low, high }: Estimate): Cell {
  return low === null || high === null ? null : `${showCell(low)} to ${showCell(high)}`;
}
