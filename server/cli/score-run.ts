/** `lfp score` through a finished run. */
import { resolve } from "node:path";
import { writeFileAtomically } from "../common/atomic-file.ts";
import { starterRunFolder } from "../common/package-root.ts";
import { visibleLine } from "../common/untrusted-text.ts";
import { readAblationSet } from "../lens/ablation-file.ts";
import { type ScoredDocumentToken, type ScoredPassage, scorePassages } from "../lens/document.ts";
import { documentPassages } from "../lens/document-passages.ts";
import { isUnfamiliar } from "../lens/familiarity.ts";
import type { Lens } from "../lens/lens.ts";
import { displayLimit, isPairMode } from "../lens/values.ts";
import { openLens } from "../pipeline/finished/open-lens.ts";
import { FeatureId } from "../protocol/ablation.ts";
import type { LensMode } from "../protocol/lens.ts";
import type { CommandResult } from "./command.ts";
import { UsageError } from "./errors.ts";
import { formatOf } from "./score-file.ts";
import {
  klSentence,
  learnedSentence,
  legends,
  type ScoreDocument,
  type ScoreGiven,
  type ScoreMode,
} from "./score-options.ts";
import { RunningMean, scoreResult, shownText, throughPassages } from "./score-passages.ts";
import type { ShownToken } from "./score-view.ts";
import { existingRun } from "./status.ts";

const columns = ["start", "end", "text", "implicit", "trueReward", "familiarity", "value"] as const;

/** Reads the document through the given run, or only exports its lens if there is no document. */
export async function scoreRun(given: ScoreGiven, document: ScoreDocument | undefined): Promise<CommandResult> {
  const { options: chosen, signal, note } = given;
  const { mode: name = "implicit", device, threads } = chosen;
  const mode = modeOf(name, chosen.feature);
  const ablation = chosen.ablation === undefined ? null : await readAblationSet(chosen.ablation);
  if (mode.kind === "ablatedMinusNot" && ablation === null)
    throw new UsageError("--mode ablated-minus-not needs --ablation FILE: it shows what the set changes");
  if (chosen.out !== undefined) formatOf(chosen.out);
  const run = chosen.run === undefined ? starterRunFolder() : await existingRun(chosen.run);
  const lens = await openLens(run, { device, threads, env: given.env, signal, note, copiesWeights: true });
  try {
    const exported = chosen.export === undefined ? null : await exportLens(lens, chosen.export);
    if (document === undefined)
      return { json: { name: "score", run, export: exported }, text: `the lens is in ${chosen.export}` };
    const passages = documentPassages(document.text, { ...document, template: lens.template });
    const scored = scorePassages(lens, passages, mode, { ablation, signal });
    const found = await gather(scored, chosen.out, note);
    return resultOf({ given, lens, mode, name, run, found, exported });
  } finally {
    await lens.close();
  }
}

interface Found {
  /** Empty if they go to a file. */
  readonly passages: readonly ScoredPassage[];
  readonly summary: {
    readonly tokens: number;
    readonly mean: number | null;
    readonly disagreements: number;
    /** Number of tokens at which the implicit reward is an extrapolation; null if the run cannot tell. */
    readonly unfamiliar: number | null;
    readonly refused: number;
  };
}

async function gather(
  scored: AsyncIterable<ScoredPassage>,
  out: string | undefined,
  note: (line: string) => void,
): Promise<Found> {
  let [tokens, disagreements] = [0, 0];
  let unfamiliar: number | null = null;
  const mean = new RunningMean();
  const visit = (passage: ScoredPassage): void => {
    for (const { implicit, trueReward, familiarity, value } of passage.tokens) {
      tokens += 1;
      mean.add(value);
      if (familiarity !== null) unfamiliar = (unfamiliar ?? 0) + Number(isUnfamiliar(familiarity));
      if (trueReward !== null && Math.sign(trueReward) * Math.sign(implicit) === -1) disagreements += 1;
    }
  };
  const { passages, refused } = await throughPassages(scored, { out, columns, note, visit });
  return { passages, summary: { tokens, mean: mean.value, disagreements, unfamiliar, refused } };
}

interface ResultParts {
  readonly given: ScoreGiven;
  readonly lens: Lens;
  readonly mode: LensMode;
  readonly name: ScoreMode;
  readonly run: string;
  readonly found: Found;
  readonly exported: string | null;
}

function resultOf({ given, lens, mode, name, run, found, exported }: ResultParts): CommandResult {
  const { options: chosen } = given;
  const { passages, summary } = found;
  const limit = displayLimit(
    lens,
    mode,
    passages.flatMap(({ tokens }) => tokens.map(({ value }) => value)),
  );
  const feature = chosen.feature === undefined ? {} : { feature: chosen.feature };
  const json = { run, mode: name, ...feature, limit, summary, export: exported };
  const unit = isPairMode(mode) || mode.kind === "fitted" ? " nats" : "";
  const mean = summary.mean === null ? "no values" : `mean ${summary.mean.toFixed(3)}${unit}`;
  const lines = [
    shown(passages, { given, name, limit, summary }),
    `${summary.tokens} tokens, ${mean}, ${summary.disagreements} where implicit and true reward differ in sign`,
    ...(summary.unfamiliar === null
      ? []
      : [
          `${summary.unfamiliar} unfamiliar to the probe (familiarity above 1): there the implicit reward is an extrapolation`,
        ]),
    ...(isPairMode(mode) ? [mode.kind === "learned" ? learnedSentence : klSentence] : []),
    ...(chosen.export === undefined ? [] : [`the lens is in ${visibleLine(chosen.export)}`]),
  ];
  return scoreResult(given, { json, lines, passages });
}

function shown(
  passages: readonly ScoredPassage[],
  { given, name, limit, summary }: Pick<ResultParts, "given" | "name"> & Pick<Found, "summary"> & { limit: number },
): string {
  const isKnown = summary.unfamiliar !== null;
  const tokens = passages.map((passage) => passage.tokens.map((token) => shownToken(token, name, isKnown)));
  const own = name === "implicit" ? [] : [name];
  return shownText(given, tokens, {
    legend: legends[name] ?? name,
    limit,
    isSigned: name !== "feature" && name !== "kl",
    columns: ["implicit", "true", ...own, ...(isKnown ? ["familiarity"] : [])],
  });
}

function shownToken(token: ScoredDocumentToken, name: ScoreMode, isKnown: boolean): ShownToken {
  const { start, text, implicit, trueReward, familiarity, value } = token;
  const own = name === "implicit" ? [value ?? implicit, trueReward] : [implicit, trueReward, value];
  return {
    start,
    text,
    value,
    isFaded: isProbes[name] && isUnfamiliar(familiarity),
    cells: isKnown ? [...own, familiarity] : own,
  };
}

/** Whether a mode's values are the probe's own output, and may be extrapolations. */
const isProbes: Readonly<Record<ScoreMode, boolean>> = {
  implicit: true,
  true: false,
  disagreement: true,
  "tuned-minus-base": true,
  feature: false,
  "ablated-minus-not": true,
  learned: false,
  fitted: true,
  kl: false,
};

async function exportLens(lens: Lens, path: string): Promise<string> {
  await writeFileAtomically(resolve(path), await lens.exportOnnx());
  return path;
}

function modeOf(name: ScoreMode, feature: string | undefined): LensMode {
  if (name !== "feature" && feature !== undefined)
    throw new UsageError(`--feature goes with --mode feature, not with ${name}`);
  switch (name) {
    case "implicit":
    case "true":
    case "disagreement":
    case "learned":
    case "fitted":
    case "kl":
      return { kind: name };
    case "tuned-minus-base":
      return { kind: "tunedMinusBase" };
    case "ablated-minus-not":
      return { kind: "ablatedMinusNot" };
    case "feature": {
      const { data: id } = FeatureId.safeParse(feature);
      if (id === undefined)
        throw new UsageError(`--feature is ${JSON.stringify(feature ?? "missing")}; expected a feature such as L4/F43`);
      return { kind: "feature", id };
    }
    default:
      name satisfies never;
      throw new TypeError("unknown mode");
  }
}
