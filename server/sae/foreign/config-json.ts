import { basename } from "node:path";
import { z } from "zod";
import { messageOf } from "../../common/errors.ts";
import { parseJson } from "../../common/json.ts";
import { schemaProblems } from "../../common/schema-problems.ts";
import { readTextFile } from "../../common/text-file.ts";
import { SaeFormatError } from "../errors.ts";

/** A dictionary's small JSON file by its schema. Throws `SaeFormatError`. */
export async function readConfigJson<T>(path: string, schema: z.ZodType<T>): Promise<T> {
  try {
    return schema.parse(parseJson(await readTextFile(path, "config")));
  } catch (cause) {
    const why = cause instanceof z.ZodError ? schemaProblems(cause) : messageOf(cause);
    throw new SaeFormatError(`${path} cannot be read as the ${basename(path)} of a dictionary: ${why}`, { cause });
  }
}
