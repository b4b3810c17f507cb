/** The texts of a preference: its own, or its messages written out as a model reads them. */
import type { MessageWriter } from "./messages.ts";
import type { Preference } from "./preference-rows.ts";

/** Where the texts of a pair come from. */
export const pairForms = {
  texts: "texts of the row",
  template: "messages, written out by the model's chat template",
  plain: 'messages, written out as a transcript of "Human:" and "Assistant:", because the model has no chat template',
} as const;
export type PairForm = keyof typeof pairForms;

/** A pair as texts: a model reads the prompt followed by either answer. */
export interface PairTexts {
  readonly form: PairForm;
  /** Where prompt and answer together begin alike, which need not be the end of the prompt alone. */
  readonly prompt: string;
  readonly chosen: string;
  readonly rejected: string;
  /** The prompt as the template writes it alone, where prompt and answer together do not begin with it. */
  readonly promptAlone?: string;
}

/**
 * The texts of a preference. `template` is the model's chat template; undefined where it has none. Throws what the
 * template throws, of which `ChatMessagesError` is about this row.
 */
export function pairTextsOf(preference: Preference, template: MessageWriter | undefined): PairTexts {
  if (preference.kind === "texts") {
    const { prompt, chosen, rejected } = preference;
    return { form: "texts", prompt, chosen, rejected };
  }
  const { prompt: turns, tools, templateArguments } = preference;
  const fields = { tools, templateArguments };
  const { render } = template === undefined ? transcript : { render: template.render.bind(template) };
  const chosen = render([...turns, ...preference.chosen], fields);
  const rejected = render([...turns, ...preference.rejected], fields);
  const prompt = render(turns, { ...fields, addGenerationPrompt: true });
  // A template may write the same turns otherwise once an answer follows them; what differs belongs to the answers.
  const end = Math.min(sharedLength(prompt, chosen), sharedLength(prompt, rejected));
  return {
    form: template === undefined ? "plain" : "template",
    prompt: prompt.slice(0, end),
    chosen: chosen.slice(end),
    rejected: rejected.slice(end),
    ...(end < prompt.length && { promptAlone: prompt }),
  };
}

const speakers: Readonly<Record<string, string>> = { user: "Human", assistant: "Assistant" };

/** The form of Anthropic's transcripts; a system's message stands before them as it is. */
const transcript: MessageWriter = {
  render(messages, { addGenerationPrompt = false }) {
    const turns = messages.map(({ role, content }) =>
      role === "system" ? content : `\n\n${speakers[role] ?? role}: ${content}`,
    );
    return turns.join("") + (addGenerationPrompt ? "\n\nAssistant:" : "");
  },
};

/** Length of the longest common prefix of two texts that does not end between the halves of a surrogate pair. */
function sharedLength(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  let end = 0;
  while (end < most && a[end] === b[end]) end += 1;
  const last = a.charCodeAt(end - 1);
  return end > 0 && end < a.length && last >= 0xd800 && last < 0xdc00 ? end - 1 : end;
}
