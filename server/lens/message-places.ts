/**
 * Finds the contents of messages in the text that a chat template writes. The template is a program, so that it is asked:
 * it writes the same conversation once more with a mark at both ends of each content, and where the marks are, the
 * contents are.
 */
import type { Conversation, MessageWriter } from "../tasks/pairs/messages.ts";

/** A part of a message's content that the template writes as it is. */
export interface ContentPiece {
  /** Index of the message. */
  readonly message: number;
  /** The part of its content, in UTF-16 units. */
  readonly from: number;
  readonly to: number;
  /** Where the part begins in the template's text. */
  readonly at: number;
}

/** A conversation as the model reads it. */
export interface WrittenConversation {
  readonly text: string;
  /** In the order of the messages, disjoint. */
  readonly pieces: readonly ContentPiece[];
}

/**
 * A content that the template changes, such as one whose reasoning it writes elsewhere, is found line by line; what it
 * leaves out has no piece. White space around a content is no part of it. Throws what the template throws.
 */
export function placesOfContents({ messages, ...fields }: Conversation, template: MessageWriter): WrittenConversation {
  const text = template.render(messages, fields);
  const contents = messages.map(({ content }) => coreOf(content));
  const marks = marksOf({ messages, ...fields }, contents, template, text);
  const pieces: ContentPiece[] = [];
  let end = 0;
  for (const [message, { core, from }] of contents.entries()) {
    if (core === "") continue;
    const { start, end: last } = marks[message] ?? {};
    if (start !== undefined && last !== undefined && text.slice(start, last) === core) {
      pieces.push({ message, from, to: from + core.length, at: start });
      end = last;
      continue;
    }
    const before = last ?? nextStart(marks, message) ?? text.length;
    for (const line of linesIn(core, text, { from: start ?? end, to: before })) {
      pieces.push({ message, from: from + line.from, to: from + line.to, at: line.at });
      end = line.at + line.to - line.from;
    }
  }
  return { text, pieces };
}

/** A content without what templates strip from its ends: white space and, like Python, some control characters. */
function coreOf(content: string): { readonly core: string; readonly from: number } {
  let [from, to] = [0, content.length];
  while (from < to && outer.test(content.charAt(from))) from += 1;
  while (to > from && outer.test(content.charAt(to - 1))) to -= 1;
  return { core: content.slice(from, to), from };
}

const outer = /^[\s\p{Cc}]$/u;

/** Where a content's marks are in the text: its ends, if the template writes both. */
interface Marks {
  start?: number;
  end?: number;
}

/** Noncharacters, which are in no text, each followed by a private character for the message. */
const marked = /([\ufdd0\ufdd1])([\u{100000}-\u{10fffd}])/gu;
const firstMark = 0x100000;
const mostMarks = 0xfffd;

/** The marks by message; none where the template writes a marked conversation otherwise. */
function marksOf(
  { messages, ...fields }: Conversation,
  contents: readonly { readonly core: string; readonly from: number }[],
  template: MessageWriter,
  text: string,
): readonly Marks[] {
  if (contents.length > mostMarks || /[\ufdd0\ufdd1]/u.test(text)) return [];
  const signed = messages.map((message, index) => {
    const { core, from } = contents[index] ?? { core: "", from: 0 };
    const sign = String.fromCodePoint(firstMark + index);
    const { content } = message;
    const inside = `\ufdd0${sign}${core}\ufdd1${sign}`;
    return core === ""
      ? message
      : { ...message, content: content.slice(0, from) + inside + content.slice(from + core.length) };
  });
  const rendered = renderedOr(undefined, () => template.render(signed, fields));
  const found: Marks[] = contents.map(() => ({}));
  let removed = 0;
  for (const match of rendered?.matchAll(marked) ?? []) {
    const own = found[(match[2]?.codePointAt(0) ?? 0) - firstMark];
    const at = match.index - removed;
    if (own !== undefined) own[match[1] === "\ufdd0" ? "start" : "end"] = at;
    removed += match[0].length;
  }
  return rendered?.replaceAll(marked, "") === text ? found : [];
}

function renderedOr<T>(otherwise: T, render: () => string): string | T {
  try {
    return render();
  } catch {
    return otherwise;
  }
}

/** Where the next content begins that a mark is known of. */
function nextStart(marks: readonly Marks[], message: number): number | undefined {
  return marks.slice(message + 1).find(({ start }) => start !== undefined)?.start;
}

/** The lines of a content in a part of the text, in order, without white space around them. */
function* linesIn(
  core: string,
  text: string,
  place: { readonly from: number; readonly to: number },
): Generator<Omit<ContentPiece, "message">> {
  let next = place.from;
  for (const { 0: line, index } of core.matchAll(/\S(?:.*\S)?/g)) {
    const at = text.indexOf(line, next);
    if (at < 0 || at + line.length > place.to) continue;
    yield { from: index, to: index + line.length, at };
    next = at + line.length;
  }
}
