/** Parses a reply of the chat protocol. Only the needed members must be present; further ones may be of any shape. */

import { z } from "zod";
import { tryJson } from "../common/json.ts";
import { withoutThinking } from "./json-text.ts";
import type { AnswerSource } from "./outcome.ts";
import { inertLine } from "./plain-text.ts";
import type { Usage } from "./spend.ts";
import { saidBy } from "./transport.ts";

export type Reply =
  | {
      readonly kind: "answer";
      readonly text: string;
      /** Null if the server sends no usage, or none that can be parsed. */
      readonly usage: Usage | null;
      /** Whether the bound on tokens cut the answer. */
      readonly cut: boolean;
      /** Whether the model thought before it answered. */
      readonly thought: boolean;
      readonly source: Omit<AnswerSource, "temperature">;
    }
  /** There is no answer, and a retry would bring none. */
  | { readonly kind: "none"; readonly reason: string; readonly usage: Usage | null }
  /** It is no reply of this protocol; `isError`: it reports a failure behind the server. */
  | { readonly kind: "unfit"; readonly reason: string; readonly isError: boolean };

/** Some servers send a list of content parts. */
const content = z.union([
  z.string(),
  z
    .array(z.looseObject({ type: z.string(), text: z.unknown().optional() }))
    .transform((parts) =>
      parts.map(({ type, text }) => (type === "text" && typeof text === "string" ? text : "")).join(""),
    ),
]);
const replySchema = z.object({
  choices: z
    .array(
      z.object({
        finish_reason: z.string().nullish().catch(null),
        message: z.object({
          content: content.nullish(),
          refusal: z.string().nullish().catch(null),
          reasoning: z.unknown().optional(),
          reasoning_content: z.unknown().optional(),
        }),
      }),
    )
    .min(1),
});
const usageSchema = z.object({
  usage: z.object({ prompt_tokens: z.int().min(0), completion_tokens: z.int().min(0) }),
});
/** A name that a server gives something; it may be any text. */
const name = z
  .string()
  .min(1)
  .transform((text) => inertLine(text, 200))
  .nullable()
  .catch(null);
const sourceSchema = z
  .object({ id: name, model: name, provider: name, system_fingerprint: name })
  .transform(({ system_fingerprint, ...named }) => ({ ...named, fingerprint: system_fingerprint }));
const failureSchema = z.object({ error: z.union([z.string(), z.object({ message: z.string() })]) });

export function readReply(body: string): Reply {
  const reply = tryJson(body);
  const parsed = replySchema.safeParse(reply);
  const [choice] = parsed.data?.choices ?? [];
  if (choice === undefined) return unfit(reply, body);
  const used = usageSchema.safeParse(reply).data?.usage;
  const usage = used === undefined ? null : { inputTokens: used.prompt_tokens, outputTokens: used.completion_tokens };
  const { refusal, reasoning, reasoning_content } = choice.message;
  if (typeof refusal === "string" && refusal !== "")
    return { kind: "none", reason: `the model refused: ${inertLine(refusal, 200)}`, usage };
  if (choice.finish_reason === "content_filter")
    return { kind: "none", reason: "the endpoint's filter kept the answer", usage };
  const text = choice.message.content ?? "";
  const thought = [reasoning, reasoning_content].some(Boolean) || withoutThinking(text) !== text;
  return {
    kind: "answer",
    text,
    usage,
    cut: choice.finish_reason === "length",
    thought,
    source: sourceSchema.parse(reply),
  };
}

/** A proxy or a provider behind the server reports a failure with status 200. */
function unfit(reply: unknown, body: string): Reply {
  if (failureSchema.safeParse(reply).success)
    return { kind: "unfit", reason: `it answered with an error: ${inertLine(saidBy(body), 200)}`, isError: true };
  const begins = body === "" ? "it is empty" : `it begins ${JSON.stringify(inertLine(body, 60))}`;
  return { kind: "unfit", reason: `its reply is no chat completion (${begins})`, isError: false };
}
