import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { writeFileAtomically } from "../common/atomic-file.ts";
import { LfpError, messageOf } from "../common/errors.ts";
import { starterRunFolder } from "../common/package-root.ts";
import { readTextFile } from "../common/text-file.ts";
import { readAblationSet } from "../lens/ablation-file.ts";
import { type ScoredPassage, scorePassages } from "../lens/document.ts";
import { isUnfamiliar } from "../lens/familiarity.ts";
import type { Lens } from "../lens/lens.ts";
import { passagesOf } from "../lens/passages.ts";
import { displayLimit } from "../lens/values.ts";
import { openLens } from "../pipeline/open-lens.ts";
import { FeatureId } from "../protocol/ablation.ts";
import type { LensMode } from "../protocol/lens.ts";
import { type CommandResult, defineCommand, type Given } from "./command.ts";
import { UsageError } from "./errors.ts";
import { option } from "./options.ts";
import { formatOf, tokenLines } from "./score-file.ts";
import { colouredText, tokenTable } from "./score-view.ts";
import { existingRun } from "./status.ts";
import { deviceOptions } from "./with-device.ts";

const modeNames = [
  "implicit",
  "true",
  "disagreement",
  "tuned-minus-base",
  "feature",
  "ablated-minus-not",
  "learned",
  "kl",
] as const;

const options = {
  run: option.text("RUN", "the folder of a finished run; by default the starter's, which comes with lfp"),
  text: option.text("TEXT", "a text to read instead of FILE"),
  mode: option.choice("MODE", "what the value of a token is", modeNames, "implicit"),
  feature: option.text("ID", "with --mode feature: which, such as L4/F43, L4/F43@big or base:L4/F43"),
  ablation: option.text("FILE", "an ablation set (*.lfp-ablation.json), applied to the tuned model"),
  out: option.text("FILE", "write every token's numbers to FILE, as JSON Lines (.jsonl) or CSV (.csv)"),
  export: option.text("FILE", "write the lens as one ONNX file (token ids to features and rewards)"),
  color: option.choice(
    "WHEN",
    "colour the text in the terminal, else print a table",
    ["auto", "always", "never"],
    "auto",
  ),
  rows: option.integer("the most tokens that the terminal is shown", 400, { min: 1 }),
  ...deviceOptions,
};

export const score = defineCommand({
  usage: "[FILE] [options]",
  about:
    "Reads a text through a finished run: what reward the probe reads in the tuned model's features at every token, beside what the feedback gives to the word. Text and " +
    "Markdown are read by paragraph, JSON Lines (.jsonl, .ndjson) by every string with at least two words.",
  options,
  positionals: ["[FILE]"],
  run: async (given): Promise<CommandResult> => {
    const { options: chosen, signal, note } = given;
    const document = await documentOf(given);
    const mode = modeOf(chosen.mode, chosen.feature);
    const ablation = chosen.ablation === undefined ? null : await readAblationSet(chosen.ablation);
    if (mode.kind === "ablatedMinusNot" && ablation === null)
      throw new UsageError("--mode ablated-minus-not needs --ablation FILE: it shows what the set changes");
    if (chosen.out !== undefined) formatOf(chosen.out);
    const run = chosen.run === undefined ? starterRunFolder() : await existingRun(chosen.run);
    const { device, threads } = chosen;
    const lens = await openLens(run, { device, threads, env: given.env, signal, note });
    try {
      const exported = chosen.export === undefined ? null : await exportLens(lens, chosen.export);
      if (document === undefined)
        return { json: { name: "score", run, export: exported }, text: `the lens is in ${chosen.export}` };
      const passages = passagesOf(document.text, document.languageId);
      const scored = scorePassages(lens, passages, mode, { ablation, signal });
      const found = await gather(scored, chosen.out, given.note);
      return resultOf({ given, lens, mode, run, found, exported });
    } finally {
      await lens.close();
    }
  },
});

interface Found {
  /** None when they go to a file. */
  readonly passages: readonly ScoredPassage[];
  readonly tokens: number;
  readonly mean: number | null;
  readonly disagreements: number;
  /** Tokens at which the implicit reward is an extrapolation; null where the run does not say. */
  readonly unfamiliar: number | null;
  readonly refused: number;
}

interface ResultParts {
  readonly given: Given<typeof options>;
  readonly lens: Lens;
  readonly mode: LensMode;
  readonly run: string;
  readonly found: Found;
  readonly exported: string | null;
}

function resultOf({ given, lens, mode, run, found, exported }: ResultParts): CommandResult {
  const { options: chosen, env } = given;
  const { passages, ...summary } = found;
  const limit = displayLimit(
    lens,
    mode,
    passages.flatMap(({ tokens }) => tokens.map(({ value }) => value)),
  );
  const json = {
    name: "score",
    run,
    mode: chosen.mode,
    ...(chosen.feature === undefined ? {} : { feature: chosen.feature }),
    limit,
    summary,
    out: chosen.out ?? null,
    export: exported,
    ...(chosen.out === undefined ? { passages } : {}),
  };
  const coloured = chosen.color === "always" || (chosen.color === "auto" && process.stdout.isTTY && !env["NO_COLOR"]);
  const shown = (coloured ? colouredText : tokenTable)(passages, { mode: chosen.mode, limit, rows: chosen.rows });
  const mean = summary.mean === null ? "no values" : `mean ${summary.mean.toFixed(3)}`;
  const lines = [
    shown,
    `${summary.tokens} tokens, ${mean}, ${summary.disagreements} where implicit and true reward differ in sign`,
    ...(summary.unfamiliar === null
      ? []
      : [
          `${summary.unfamiliar} unfamiliar to the probe (familiarity above 1): there the implicit reward is an extrapolation`,
        ]),
    ...(chosen.out === undefined ? [] : [`every token is in ${chosen.out}`]),
    ...(chosen.export === undefined ? [] : [`the lens is in ${chosen.export}`]),
  ];
  return { json, text: lines.filter((line) => line !== "").join("\n") };
}

/** Goes through all passages; those that go to a file are not held in memory. */
async function gather(
  scored: AsyncIterable<ScoredPassage>,
  out: string | undefined,
  note: (line: string) => void,
): Promise<Found> {
  const passages: ScoredPassage[] = [];
  let [tokens, sum, valued, disagreements, refused] = [0, 0, 0, 0, 0];
  let unfamiliar: number | null = null;
  const watch = async function* (): AsyncGenerator<ScoredPassage> {
    for await (const passage of scored) {
      if (passage.refused !== undefined) {
        note(`the passage at ${passage.start} to ${passage.end} was left out: ${passage.refused}`);
        refused += 1;
      }
      for (const { implicit, trueReward, familiarity, value } of passage.tokens) {
        tokens += 1;
        if (familiarity !== null) unfamiliar = (unfamiliar ?? 0) + Number(isUnfamiliar(familiarity));
        if (value !== null) [sum, valued] = [sum + value, valued + 1];
        if (trueReward !== null && Math.sign(trueReward) * Math.sign(implicit) === -1) disagreements += 1;
      }
      if (out === undefined) passages.push(passage);
      yield passage;
    }
  };
  if (out !== undefined) await writeFileAtomically(resolve(out), tokenLines(watch(), formatOf(out)));
  else for await (const _ of watch());
  return { passages, tokens, mean: valued === 0 ? null : sum / valued, disagreements, unfamiliar, refused };
}

async function exportLens(lens: Lens, path: string): Promise<string> {
  await writeFileAtomically(resolve(path), await lens.exportOnnx());
  return path;
}

function modeOf(name: (typeof modeNames)[number], feature: string | undefined): LensMode {
  if (name !== "feature" && feature !== undefined)
    throw new UsageError(`--feature goes with --mode feature, not with ${name}`);
  switch (name) {
    case "implicit":
    case "true":
    case "disagreement":
    case "learned":
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

interface Document {
  readonly text: string;
  readonly languageId: string;
}

/** What to read; undefined when only the lens is exported. */
async function documentOf({
  options: chosen,
  positionals: [file],
}: Given<typeof options>): Promise<Document | undefined> {
  if (file !== undefined && chosen.text !== undefined)
    throw new UsageError("FILE and --text were both given; one of them says what to read");
  if (chosen.text !== undefined) return { text: chosen.text, languageId: "plaintext" };
  if (file !== undefined)
    return { text: await readDocument(file), languageId: /\.(jsonl|ndjson)$/i.test(file) ? "jsonl" : "plaintext" };
  if (chosen.export === undefined) throw new UsageError("FILE (or --text TEXT) is missing: it says what to read");
  return undefined;
}

const largestFile = 256 * 2 ** 20;

async function readDocument(file: string): Promise<string> {
  try {
    const { size } = await stat(file);
    if (size > largestFile)
      throw new Error(`it has ${Math.round(size / 2 ** 20)} MB; at most ${largestFile / 2 ** 20} are read at once`);
    return await readTextFile(file);
  } catch (cause) {
    throw new DocumentError(file, cause);
  }
}

/** The text to read cannot be read. */
class DocumentError extends LfpError {
  readonly code;

  constructor(file: string, cause: unknown) {
    super(`${file} cannot be read: ${messageOf(cause)}. Give a text file, or --text TEXT`, { cause });
    this.code =
      cause instanceof Error && "code" in cause && cause.code === "ENOENT"
        ? ("not-found" as const)
        : ("input" as const);
  }
}
