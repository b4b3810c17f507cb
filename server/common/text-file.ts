import { readFile } from "node:fs/promises";

/** What a text file says, without a byte order mark. Throws `TypeError` for bytes that are no UTF-8, which would come out as other characters. */
export async function readTextFile(path: string): Promise<string> {
  const bytes = await readFile(path);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new TypeError("it is not UTF-8. Save it in that encoding", { cause });
  }
}
