import { join } from "node:path";
import { messageOf } from "../../common/errors.ts";
import { parseJson } from "../../common/json.ts";
import { readTextFile } from "../../common/text-file.ts";
import { learnedSchema } from "../../learned/report-types.ts";
import { LensMismatchError } from "../../lens/errors.ts";
import type { LensLexicon } from "../../lens/lexicon.ts";
import { unlessMissing } from "../../runs/files.ts";
import { learnedFile } from "../artifacts/learned.ts";

/** The learned lexicon of a run; undefined for a run without one. Throws `LensMismatchError` for an invalid file. */
export async function loadLexicon(runFolder: string): Promise<LensLexicon | undefined> {
  const path = join(runFolder, "learned", learnedFile);
  const text = await unlessMissing(readTextFile(path, "stage output"));
  if (text === undefined) return undefined;
  try {
    const { centre, words, settings } = learnedSchema.parse(parseJson(text));
    const often = new Map(words.filter(({ places }) => places >= settings.minPlaces).map((one) => [one.word, one]));
    return { centre, word: (word) => often.get(word) };
  } catch (cause) {
    throw new LensMismatchError(
      `${path} is no learned lexicon: ${messageOf(cause)}; finish the run again with \`lfp run\`, or move the file away`,
      { cause },
    );
  }
}
