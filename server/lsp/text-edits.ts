import { TextDocument } from "vscode-languageserver-textdocument";
import { z } from "zod";

const position = z.object({ line: z.int().min(0), character: z.int().min(0) });

/** One change of `textDocument/didChange`: a range's new text, or the whole new text. */
export const ContentChange = z.object({
  range: z.object({ start: position, end: position }).optional(),
  text: z.string(),
});
export type ContentChange = z.infer<typeof ContentChange>;

/**
 * Applies changes in LSP's order: each refers to the text after the previous one. Editors order the changes of one step
 * from the end of the text to its beginning; these are applied in one pass. Undefined if others would take too long.
 */
export function applyChanges(
  document: TextDocument,
  changes: readonly ContentChange[],
  version: number,
): TextDocument | undefined {
  const text = applyFromTheEnd(document, changes);
  if (text !== undefined) return TextDocument.update(document, [{ text }], version);
  if (changes.length * document.getText().length > MAX_CHANGED_UNITS) return undefined;
  return TextDocument.update(document, changes.map(plain), version);
}

/** Maximum number of UTF-16 units to copy, at about 2 to 5 per nanosecond. */
const MAX_CHANGED_UNITS = 2e9;

/** Applies changes in one pass; undefined unless each ends before its predecessor in the list begins. */
function applyFromTheEnd(document: TextDocument, changes: readonly ContentChange[]): string | undefined {
  const before = document.getText();
  const pieces: string[] = [];
  let bound = before.length;
  for (const { range, text } of changes) {
    if (range === undefined) return undefined;
    const start = document.offsetAt(range.start);
    const end = document.offsetAt(range.end);
    if (start > end || end > bound) return undefined;
    pieces.push(before.slice(end, bound), text);
    bound = start;
  }
  pieces.push(before.slice(0, bound));
  return pieces.reverse().join("");
}

function plain({ range, text }: ContentChange) {
  return range === undefined ? { text } : { range, text };
}
