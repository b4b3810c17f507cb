import { LfpError, messageOf } from "../common/errors.ts";
import { parseJson } from "../common/json.ts";
import { schemaProblems } from "../common/schema-problems.ts";
import { errnoOf } from "../common/system-errors.ts";
import { readTextFile } from "../common/text-file.ts";
import { AblationFile, type AblationSet, switchedOn } from "../protocol/ablation.ts";

/** A file is unreadable or is no ablation set. */
export class AblationFileError extends LfpError {
  readonly code;

  constructor(path: string, problem: string, code: "input" | "not-found", options?: ErrorOptions) {
    super(`${path} is no ablation set that can be read: ${problem}`, options);
    this.code = code;
  }
}

/**
 * Reads an ablation set (`*.lfp-ablation.json`), without the features that are switched off in it. Throws
 * `AblationFileError`.
 */
export async function readAblationSet(path: string): Promise<AblationSet> {
  const text = await readTextFile(path, "ablation set").catch((cause: unknown) => {
    const code = errnoOf(cause) === undefined ? "input" : "not-found";
    throw new AblationFileError(path, messageOf(cause), code, { cause });
  });
  let json: unknown;
  try {
    json = parseJson(text);
  } catch (cause) {
    throw new AblationFileError(path, messageOf(cause), "input", { cause });
  }
  const { data, error } = AblationFile.safeParse(json);
  if (data === undefined)
    throw new AblationFileError(
      path,
      `${schemaProblems(error)}. A set is {"format":"lfp-ablation/1","features":[{"id":"L4/F43","factor":0}]}`,
      "input",
    );
  return switchedOn(data);
}
