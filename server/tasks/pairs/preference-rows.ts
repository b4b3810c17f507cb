/**
 * Parses rows of preference data in every layout that TRL accepts (docs/source/dataset_formats.md of 1.16), and
 * Anthropic's transcripts: finds where the prompt ends and the answers begin. Parses each row on its own, so that a
 * data set may mix layouts.
 */
import { z } from "zod";
import { type Message, messagesSchema as messages, type TemplateFields, templateFieldsSchema } from "./messages.ts";

/** Two answers to a prompt: texts, or messages for a chat template. */
export type Preference =
  | { readonly kind: "texts"; readonly prompt: string; readonly chosen: string; readonly rejected: string }
  | ({
      readonly kind: "messages";
      readonly prompt: readonly Message[];
      readonly chosen: readonly Message[];
      readonly rejected: readonly Message[];
    } & TemplateFields);

/** Rules by which a row is split. */
export const preferenceRules = {
  given: "the prompt has a field of its own",
  transcript: 'the prompt ends with the last "\\n\\nAssistant:" of the chosen transcript',
  sharedText: "the prompt is what both texts begin with alike",
  sharedMessages: "the prompt is the messages that both conversations begin with",
} as const;
export type PreferenceRule = keyof typeof preferenceRules;

/** Reasons why a row gives no pair. */
export const preferenceFaults = {
  fields: "no fields chosen and rejected that are both texts or both lists of messages",
  promptKind: "a prompt that is neither a text nor a list of messages",
  moreAnswers: "more than two answers",
  otherPrompt: "the rejected transcript does not begin with the chosen one's prompt",
  noPrompt: "chosen and rejected begin differently and no prompt is given",
  emptyAnswer: "an answer is empty",
  equalAnswers: "both answers are the same",
  lastTurn: "a conversation that does not end with an answer of the assistant",
  templateFields: "tools that are not a list, or chat_template_kwargs that are not an object",
} as const;
export type PreferenceFault = keyof typeof preferenceFaults;

export type PreferenceRow =
  | { readonly kind: "pair"; readonly rule: PreferenceRule; readonly preference: Preference }
  | { readonly kind: "fault"; readonly fault: PreferenceFault };

/** Splits one row of preference data. Never throws: returns the fault of a malformed row, for the counts. */
export function preferenceOf(row: unknown): PreferenceRow {
  const read = rowSchema.safeParse(row).data;
  if (read === undefined) return fault("fields");
  const { prompt, chosen, rejected, ...others } = read;
  if (answersBeside(others).length > 0) return fault("moreAnswers");
  const texts = { chosen: z.string().safeParse(chosen).data, rejected: z.string().safeParse(rejected).data };
  if (texts.chosen !== undefined && texts.rejected !== undefined)
    return ofTexts(prompt, { chosen: texts.chosen, rejected: texts.rejected });
  const lists = { chosen: messages.safeParse(chosen).data, rejected: messages.safeParse(rejected).data };
  if (lists.chosen === undefined || lists.rejected === undefined) return fault("fields");
  const fields = templateFieldsSchema.safeParse(read).data;
  if (fields === undefined) return fault("templateFields");
  return ofMessages(prompt, { chosen: lists.chosen, rejected: lists.rejected }, fields);
}

const rowSchema = z.looseObject({ prompt: z.unknown().optional(), chosen: z.unknown(), rejected: z.unknown() });

interface Answers<T> {
  readonly chosen: T;
  readonly rejected: T;
}

/** Fields such as `rejected_2` or `answer_3`, in data sets of more than two answers. */
function answersBeside(others: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(others).filter((name) => /^(?:chosen|rejected|answer|response|completion)_?\d+$/.test(name));
}

function ofTexts(prompt: unknown, answers: Answers<string>): PreferenceRow {
  if (prompt === undefined || prompt === null) {
    const end = answers.chosen.lastIndexOf(assistantTurn);
    return answers.chosen.startsWith(humanTurn) && end >= 0
      ? ofTranscript(answers, end + assistantTurn.length)
      : ofSharedText(answers);
  }
  const given = z.string().safeParse(prompt).data;
  if (given === undefined) return fault(messages.safeParse(prompt).success ? "fields" : "promptKind");
  return checked("given", { kind: "texts", prompt: given, ...answers });
}

const humanTurn = "\n\nHuman:";
const assistantTurn = "\n\nAssistant:";

/** The rule of the code that prepared Anthropic's data for DPO: answers keep the space before their first word. */
function ofTranscript({ chosen, rejected }: Answers<string>, end: number): PreferenceRow {
  const prompt = chosen.slice(0, end);
  if (!rejected.startsWith(prompt)) return fault("otherPrompt");
  return checked("transcript", { kind: "texts", prompt, chosen: chosen.slice(end), rejected: rejected.slice(end) });
}

/** TRL's `extract_prompt`: the longest common prefix, except a space at its end, which belongs to the answers. */
function ofSharedText({ chosen, rejected }: Answers<string>): PreferenceRow {
  let end = 0;
  const most = Math.min(chosen.length, rejected.length);
  while (end < most && chosen[end] === rejected[end]) end += 1;
  // Never between the halves of a surrogate pair.
  if (end > 0 && isHighSurrogate(chosen.charCodeAt(end - 1))) end -= 1;
  if (end > 0 && chosen[end - 1] === " ") end -= 1;
  if (chosen === rejected) return fault("equalAnswers");
  if (end === 0) return fault("noPrompt");
  return checked("sharedText", {
    kind: "texts",
    prompt: chosen.slice(0, end),
    chosen: chosen.slice(end),
    rejected: rejected.slice(end),
  });
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00;
}

function ofMessages(prompt: unknown, answers: Answers<readonly Message[]>, fields: TemplateFields): PreferenceRow {
  const given = messages.safeParse(prompt).data;
  if (given !== undefined) return checked("given", { kind: "messages", prompt: given, ...answers, ...fields });
  // A prompt as text beside whole conversations repeats their beginning.
  if (prompt !== undefined && prompt !== null && typeof prompt !== "string") return fault("promptKind");
  const { chosen, rejected } = answers;
  const most = Math.min(chosen.length, rejected.length);
  let end = 0;
  while (end < most && isSame(chosen[end], rejected[end])) end += 1;
  if (end === chosen.length && end === rejected.length) return fault("equalAnswers");
  if (end === 0) return fault("noPrompt");
  return checked("sharedMessages", {
    kind: "messages",
    prompt: chosen.slice(0, end),
    chosen: chosen.slice(end),
    rejected: rejected.slice(end),
    ...fields,
  });
}

function isSame(a: Message | undefined, b: Message | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function checked(rule: PreferenceRule, preference: Preference): PreferenceRow {
  const found = faultOf(preference);
  return found === undefined ? { kind: "pair", rule, preference } : fault(found);
}

function faultOf(preference: Preference): PreferenceFault | undefined {
  if (preference.kind === "texts") {
    const { chosen, rejected } = preference;
    if (chosen.trim() === "" || rejected.trim() === "") return "emptyAnswer";
    return chosen === rejected ? "equalAnswers" : undefined;
  }
  const answers = [preference.chosen, preference.rejected];
  if (answers.some((list) => list.at(-1)?.role !== "assistant")) return "lastTurn";
  if (answers.some((list) => list.every((message) => message.content.trim() === ""))) return "emptyAnswer";
  return JSON.stringify(preference.chosen) === JSON.stringify(preference.rejected) ? "equalAnswers" : undefined;
}

function fault(found: PreferenceFault): PreferenceRow {
  return { kind: "fault", fault: found };
}
