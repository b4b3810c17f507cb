/** Reads a line of JSON Lines as a conversation, and finds its messages in what the model reads. */
import { messageOf } from "../common/errors.ts";
import { tryJson } from "../common/json.ts";
import { conversationOf, type MessageWriter } from "../tasks/pairs/messages.ts";
import { type JsonString, jsonStringsByPath, pathKey } from "./json-strings.ts";
import { type ContentPiece, placesOfContents } from "./message-places.ts";
import { type Passage, partOf, stringPassage } from "./passages.ts";

/** Longest conversation as the model reads it, in UTF-16 units. */
export const MAX_CONVERSATION_UNITS = 400_000;

/**
 * The passages of a line that is a conversation, which begins at `origin` in its document: the contents of its messages, each
 * a part of the whole conversation as `template` writes it. Undefined where the line is none, or the model has no
 * template.
 */
export function conversationPassages(
  line: string,
  origin: number,
  template: MessageWriter | undefined,
): readonly Passage[] | undefined {
  // Cheap, and true of every conversation: a file of other records is not parsed twice.
  if (template === undefined || !line.includes("role") || !line.includes("content")) return undefined;
  const row = tryJson(line);
  const conversation = conversationOf(row);
  if (conversation === undefined) return undefined;
  const strings = jsonStringsByPath(line);
  const path = Array.isArray(row) ? [] : ["messages"];
  const contents = conversation.messages.map((_, index) => partsOf(strings, [...path, index, "content"]));
  const unread = (why: string): Passage[] =>
    contents.flat().flatMap((part) => (part.value === "" ? [] : [{ ...stringPassage(part, origin), unread: why }]));
  try {
    const { text, pieces } = placesOfContents(conversation, template);
    if (text.length > MAX_CONVERSATION_UNITS)
      return unread(`the conversation is longer than ${MAX_CONVERSATION_UNITS} characters`);
    return pieces.flatMap((piece) => passagesOfPiece(piece, contents[piece.message] ?? [], text, origin));
  } catch (error) {
    return unread(`the model's chat template refuses the conversation: ${messageOf(error)}`);
  }
}

/** The strings of a message's content: the whole, or the texts of its parts. */
function partsOf(strings: ReadonlyMap<string, JsonString>, path: readonly (string | number)[]): readonly JsonString[] {
  const whole = strings.get(pathKey(path));
  if (whole !== undefined) return [whole];
  const parts: JsonString[] = [];
  for (let at = 0; ; at++) {
    const found = strings.get(pathKey([...path, at, "text"]));
    if (found === undefined) return parts;
    parts.push(found);
  }
}

/** The passages of a piece of a content, one in each of the content's strings that it touches. */
function passagesOfPiece(piece: ContentPiece, parts: readonly JsonString[], text: string, origin: number): Passage[] {
  let before = 0;
  return parts.flatMap((part): Passage[] => {
    const from = Math.max(0, piece.from - before);
    const to = Math.min(part.value.length, piece.to - before);
    const at = piece.at + before + from - piece.from;
    before += part.value.length;
    return from < to ? [{ ...partOf(stringPassage(part, origin), from, to), conversation: { text, at } }] : [];
  });
}
