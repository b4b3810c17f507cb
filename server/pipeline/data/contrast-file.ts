import type { z } from "zod";
import { Pacer } from "../../common/pacer.ts";
import { type Contrast, contrastSchema } from "../../tasks/contrast.ts";
import { DataFileError, MOST_ROWS, MOST_TEXT_UNITS, rowsOf, tooMuch } from "./rows.ts";

/**
 * The contrasts of a file, in file order: one a line, as `lfp pairs grade` writes them, or made otherwise without
 * provenance. Throws `DataFileError` naming the line, without its texts, and, on abort, the signal's reason.
 */
export async function readContrastFile(
  path: string,
  { limit, signal }: { readonly limit?: number | null; readonly signal?: AbortSignal } = {},
): Promise<Contrast[]> {
  if (!/\.jsonl(\.gz)?$/i.test(path))
    throw new DataFileError(`${path} is no file of contrasts; expected one ending in .jsonl or .jsonl.gz`);
  const contrasts: Contrast[] = [];
  const lines = new Map<string, number>();
  const pacer = new Pacer(signal);
  let units = 0;
  for await (const [row, value] of rowsOf(path, () => true)) {
    const where = `${path}, line ${row + 1}`;
    const read = contrastSchema.safeParse(value);
    if (!read.success) throw new DataFileError(`${where} is no contrast: ${issueOf(read.error)}`);
    const { id, positive, neutral, negative } = read.data;
    const before = lines.get(id);
    if (before !== undefined) throw new DataFileError(`${where} has the id of line ${before}: expected one id a line`);
    lines.set(id, row + 1);
    units += positive.text.length + (neutral?.text.length ?? 0) + negative.text.length;
    if (contrasts.length >= MOST_ROWS) throw new DataFileError(tooMuch(path, `${MOST_ROWS} rows`));
    if (units > MOST_TEXT_UNITS) throw new DataFileError(tooMuch(path, `${MOST_TEXT_UNITS} characters of text`));
    contrasts.push(read.data);
    if (contrasts.length >= (limit ?? Number.POSITIVE_INFINITY)) break;
    await pacer.pause();
  }
  if (contrasts.length === 0)
    throw new DataFileError(`${path} holds no contrasts: lfp pairs grade writes those that it keeps`);
  return contrasts;
}

/** The first issue; the value itself may be harmful text. */
function issueOf({ issues }: z.ZodError): string {
  const [first] = issues;
  const field = first?.path.join(".") ?? "";
  return `${field === "" ? "" : `${field}: `}${first?.message ?? "it has another form"}`;
}
