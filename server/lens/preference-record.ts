/** Reads a line of JSON Lines as a preference pair, and finds its answers in the line. */
import { messageOf } from "../common/errors.ts";
import { tryJson } from "../common/json.ts";
import type { MessageWriter } from "../tasks/pairs/messages.ts";
import { type PairTexts, pairTextsOf } from "../tasks/pairs/pair-texts.ts";
import { type Preference, preferenceFaults, preferenceOf } from "../tasks/pairs/preference-rows.ts";
import { type JsonString, jsonStringsByPath, pathKey } from "./json-strings.ts";
import { type Passage, partOf, stringPassage } from "./passages.ts";
import { type Side, sides } from "./sides.ts";

/** A line as a preference: a pair, or why it is none. */
export type PreferenceLine =
  | {
      readonly kind: "pair";
      readonly texts: PairTexts;
      /** The parts of both answers that the line holds, in its order. */
      readonly passages: readonly Passage[];
    }
  /** The line says that it is a preference, but no pair can be read of it. */
  | { readonly kind: "fault"; readonly why: string };

/** Longest prompt with its answer, in UTF-16 units; models read far less. */
export const MAX_PAIR_UNITS = 400_000;

/**
 * Reads a line that begins at `origin` in its document; undefined if the line is no preference at all. `template` writes
 * messages as the model reads them.
 */
export function preferenceLine(
  line: string,
  origin: number,
  template: MessageWriter | undefined,
): PreferenceLine | undefined {
  // Cheap, and true of every preference: a file of other records is not parsed twice.
  if (!line.includes("chosen") || !line.includes("rejected")) return undefined;
  const row = tryJson(line);
  if (typeof row !== "object" || row === null || !("chosen" in row && "rejected" in row)) return undefined;
  const read = preferenceOf(row);
  if (read.kind === "fault") return { kind: "fault", why: preferenceFaults[read.fault] };
  if (line.length > 8 * MAX_PAIR_UNITS) return tooLong;
  let texts: PairTexts;
  try {
    texts = pairTextsOf(read.preference, template);
  } catch (error) {
    return { kind: "fault", why: `the model's chat template refuses it: ${messageOf(error)}` };
  }
  const { prompt, chosen, rejected } = texts;
  if (prompt.length + Math.max(chosen.length, rejected.length) > MAX_PAIR_UNITS) return tooLong;
  const strings = jsonStringsByPath(line);
  const found = sides.flatMap((side) => answerPassages({ preference: read.preference, texts, side, strings, origin }));
  return { kind: "pair", texts, passages: found.toSorted((a, b) => a.start - b.start) };
}

const tooLong: PreferenceLine = {
  kind: "fault",
  why: `a prompt with its answer is longer than ${MAX_PAIR_UNITS} characters`,
};

interface InLine {
  readonly preference: Preference;
  readonly texts: PairTexts;
  readonly side: Side;
  readonly strings: ReadonlyMap<string, JsonString>;
  readonly origin: number;
}

function answerPassages(place: InLine): Passage[] {
  const { texts, side, strings, origin } = place;
  const answer = texts[side];
  const part = (string: JsonString, from: number, to: number, at: number): Passage => ({
    ...partOf(stringPassage(string, origin), from, to),
    answer: { texts, side, at },
  });
  if (place.preference.kind === "texts") {
    const string = strings.get(side);
    // Whatever the rule, the answer is the end of its string.
    return string?.value.endsWith(answer) === true
      ? [part(string, string.value.length - answer.length, string.value.length, 0)]
      : [];
  }
  let next = 0;
  return contentsOf(place, place.preference).flatMap((string) => {
    const content = string.value.trim();
    const at = content === "" ? -1 : answer.indexOf(content, next);
    if (at < 0) return [];
    next = at + content.length;
    const from = string.value.indexOf(content);
    return [part(string, from, from + content.length, at)];
  });
}

/** The strings of an answer's messages in order: each message's content, or the texts of its parts. */
function contentsOf({ side, strings }: InLine, preference: Extract<Preference, { kind: "messages" }>): JsonString[] {
  let messages = 0;
  while (strings.has(pathKey([side, messages, "role"]))) messages += 1;
  // A list that repeats the prompt begins with it.
  const first = messages - preference[side].length;
  return preference[side].flatMap((_, index) => {
    const path = [side, first + index, "content"];
    const whole = strings.get(pathKey(path));
    if (whole !== undefined) return [whole];
    const parts: JsonString[] = [];
    for (let at = 0; ; at++) {
      const found = strings.get(pathKey([...path, at, "text"]));
      if (found === undefined) return parts;
      parts.push(found);
    }
  });
}
