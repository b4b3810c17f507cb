import { LfpError } from "../../common/errors.ts";
import { tryJson } from "../../common/json.ts";
import { Random } from "../../common/random.ts";
import { readTextFile } from "../../common/text-file.ts";
import { type GradedSummary, gradedSummarySchema } from "../../grading/summary.ts";
import type { Stage, StageContext } from "../../runs/stage.ts";
import type { Contrast } from "../../tasks/contrast.ts";
import { pairContrasts } from "../../tasks/pairs/pair-contrasts.ts";
import { type ContrastCounts, contrastCountsFile, contrastsFile } from "../artifacts/contrasts.ts";
import { writeJson, writeJsonLines } from "../artifacts/json-files.ts";
import { analysisPairs, heldOutPairs, readPairs, tuningPairs } from "../artifacts/pairs.ts";
import { readContrastFile } from "../data/contrast-file.ts";
import { promptKey } from "../data/pair-split.ts";

export interface ContrastsSettings {
  /** The pairs that contrasts are made of. */
  readonly pairs: keyof typeof files;
  readonly limit: number | null;
  readonly seed: number;
}

const files = { heldOut: heldOutPairs, analysis: analysisPairs, tuning: tuningPairs } as const;

/** There is nothing to contrast. */
export class NoContrastsError extends LfpError {
  readonly code = "input";
}

export interface GivenContrastsSettings extends Pick<ContrastsSettings, "limit" | "seed"> {
  /** Whether a summary of their grading stands beside them: the input `summary`. */
  readonly isGraded: boolean;
}

/** Contrasts of a file, such as a language model graded and rewrote; of more than the limit, a random sample. */
export const givenContrastsStage: Stage<GivenContrastsSettings, "file" | "texts" | "summary"> = {
  name: "given-contrasts",
  codeVersion: 2,
  run: async ({ settings: { limit, seed, isGraded }, input, output, progress, message, signal }) => {
    const all = await readContrastFile(input("file"), { signal });
    const kept = new Set(
      Random.fromSeed(seed)
        .shuffled([...all.keys()])
        .slice(0, limit ?? all.length),
    );
    const contrasts = all.filter((_, at) => kept.has(at));
    const tunedOn = new Set((await readPairs(input("texts"), tuningPairs)).map(({ prompt }) => promptKey(prompt)));
    const seen = contrasts.filter(({ positive: { text, start } }) => tunedOn.has(promptKey(text.slice(0, start))));
    if (seen.length > 0)
      message(`the model is tuned on the prompts of ${seen.length} of the ${contrasts.length} contrasts`, "warning");
    const graded = isGraded ? await readSummary(input("summary")) : null;
    const isOfFile = graded === null || graded.contrasts === all.length;
    if (!isOfFile)
      message(
        `the summary beside the contrasts is of ${graded.contrasts}, and the file has ${all.length}: the report leaves it out`,
        "warning",
      );
    const file = { contrasts: all.length, graded: isOfFile ? graded : null };
    await write(output, contrasts, progress, { file, ofTuningPrompts: seen.length });
  },
};

async function readSummary(path: string): Promise<GradedSummary> {
  const read = gradedSummarySchema.safeParse(tryJson(await readTextFile(path, "result")));
  if (read.success) return read.data;
  throw new SummaryError(
    `${path} is no summary of graded contrasts: lfp pairs grade writes it. Run that again, or remove the file`,
  );
}

/** What stands beside contrasts as the summary of their grading is none. */
export class SummaryError extends LfpError {
  readonly code = "input";
}

/** Contrasts of the run's pairs: the chosen answer, the rejected one, and an answer to another prompt. */
export const contrastsStage: Stage<ContrastsSettings, "texts"> = {
  name: "contrasts",
  codeVersion: 1,
  run: async ({ settings, input, output, progress }) => {
    const pairs = await readPairs(input("texts"), files[settings.pairs]);
    if (pairs.length === 0)
      throw new NoContrastsError(
        `the run has no pairs for contrasts.pairs "${settings.pairs}"; hold out some by data.heldOut, or choose other pairs`,
      );
    await write(output, pairContrasts(pairs, settings), progress);
  },
};

async function write(
  output: string,
  contrasts: readonly Contrast[],
  progress: StageContext<unknown, never>["progress"],
  given: Partial<ContrastCounts> = {},
): Promise<void> {
  await writeJsonLines(output, contrastsFile, contrasts);
  await writeJson(output, contrastCountsFile, {
    contrasts: contrasts.length,
    groups: new Set(contrasts.map(({ group }) => group)).size,
    neutral: contrasts.filter(({ neutral }) => neutral !== undefined).length,
    ...given,
  });
  progress(contrasts.length, contrasts.length, "contrasts");
}
