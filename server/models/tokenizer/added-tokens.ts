/** An entry of `added_tokens` in tokenizer.json: matched in the text before BPE sees it. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Marks structure (end of text, turns), as opposed to text that merely has an id of its own (runs of spaces). */
  readonly special: boolean;
  /** Matched in the normalised text, with its content normalised; otherwise in the text as given. */
  readonly normalized: boolean;
}

/** A part of a text: an added token where `id` is given, else the text between. */
export interface TextPart {
  readonly start: number;
  readonly end: number;
  readonly id?: number;
}

/** Splits a text at added tokens, preferring the longest where several start together; the parts partition the text. */
export type AddedTokenSplitter = (text: string) => Iterable<TextPart>;

/** A splitter for these tokens, by content. */
export function addedTokenSplitter(idOfContent: ReadonlyMap<string, number>): AddedTokenSplitter {
  const contents = [...idOfContent.keys()].sort((a, b) => b.length - a.length);
  if (contents.length === 0) return (text) => (text === "" ? [] : [{ start: 0, end: text.length }]);
  const pattern = new RegExp(contents.map((content) => content.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join("|"), "gu");
  return function* (text) {
    let start = 0;
    for (const { 0: content, index } of text.matchAll(pattern)) {
      const id = idOfContent.get(content);
      if (id === undefined) continue;
      if (index > start) yield { start, end: index };
      start = index + content.length;
      yield { start: index, end: start, id };
    }
    if (start < text.length) yield { start, end: text.length };
  };
}
