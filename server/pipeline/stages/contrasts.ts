import { LfpError } from "../../common/errors.ts";
import type { Stage, StageContext } from "../../runs/stage.ts";
import type { Contrast } from "../../tasks/contrast.ts";
import { pairContrasts } from "../../tasks/pairs/pair-contrasts.ts";
import { contrastsFile } from "../artifacts/contrasts.ts";
import { writeJson, writeJsonLines } from "../artifacts/json-files.ts";
import { analysisPairs, heldOutPairs, readPairs, tuningPairs } from "../artifacts/pairs.ts";
import { readContrastFile } from "../data/contrast-file.ts";

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

/** Contrasts of a file, such as a language model graded and rewrote. */
export const givenContrastsStage: Stage<Pick<ContrastsSettings, "limit">, "file"> = {
  name: "given-contrasts",
  codeVersion: 1,
  run: async ({ settings: { limit }, input, output, progress, signal }) => {
    await write(output, await readContrastFile(input("file"), { limit, signal }), progress);
  },
};

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
): Promise<void> {
  await writeJsonLines(output, contrastsFile, contrasts);
  await writeJson(output, "counts.json", {
    contrasts: contrasts.length,
    groups: new Set(contrasts.map(({ group }) => group)).size,
    neutral: contrasts.filter(({ neutral }) => neutral !== undefined).length,
  });
  progress(contrasts.length, contrasts.length, "contrasts");
}
