/** The forms of request that servers take. One that a server refuses is given up for the next weaker one, request by request. */
import type { StatusError } from "./transport.ts";

/** How an answer's shape is asked for; servers differ in what they know. From the strongest to the weakest. */
const formats = ["schema", "object", "text"] as const;
export type Format = (typeof formats)[number];

/** What newer models call the bound on an answer; older servers know only `max_tokens`. */
const boundNames = ["max_tokens", "max_completion_tokens"] as const;

/** How much the model is asked to think: not mentioned, little, or not mentioned because the server refused the word. */
const efforts = ["unsaid", "low", "refused"] as const;

export interface Form {
  readonly format: Format;
  readonly sendsTemperature: boolean;
  readonly boundName: (typeof boundNames)[number];
  readonly effort: (typeof efforts)[number];
  /** Room beside the answer itself for what a model thinks before it. */
  readonly thinkingTokens: number;
}

export function firstForm(thinkingTokens: number): Form {
  return { format: "schema", sendsTemperature: true, boundName: "max_tokens", effort: "unsaid", thinkingTokens };
}

/**
 * The form to try after a server refused the request (400 or 422): without what the message names, or, where it names nothing known, with a weaker way
 * to ask for the shape. Undefined where that is no cure. It goes by what this request sent, whatever others have learned meanwhile.
 */
export function weakerForm(sent: Form, { body }: Pick<StatusError, "body">): Form | undefined {
  if (/context.?length|context.?window|context_length_exceeded|too long|too many tokens/i.test(body)) return undefined;
  if (sent.effort === "low" && /reasoning/i.test(body)) return { ...sent, effort: "refused" };
  const names = (pattern: RegExp): boolean => pattern.test(body);
  if (names(/response_format|json_schema|json_object|grammar|guided|structured/i)) {
    const format = after(formats, sent.format);
    if (format !== undefined) return { ...sent, format };
  }
  if (sent.boundName === "max_tokens" && names(/max_tokens|max_completion_tokens/i))
    return { ...sent, boundName: "max_completion_tokens" };
  if (sent.sendsTemperature && names(/temperature|seed/i)) return { ...sent, sendsTemperature: false };
  const format = after(formats, sent.format);
  return format === undefined ? undefined : { ...sent, format };
}

/** The weaker of two in everything: what one request has learned takes nothing back of what another has. */
export function weakest(a: Form, b: Form): Form {
  return {
    format: later(formats, a.format, b.format),
    sendsTemperature: a.sendsTemperature && b.sendsTemperature,
    boundName: later(boundNames, a.boundName, b.boundName),
    effort: later(efforts, a.effort, b.effort),
    thinkingTokens: Math.max(a.thinkingTokens, b.thinkingTokens),
  };
}

function after<T extends string>(order: readonly T[], one: T): T | undefined {
  return order[order.indexOf(one) + 1];
}

function later<T extends string>(order: readonly T[], a: T, b: T): T {
  return order.indexOf(a) < order.indexOf(b) ? b : a;
}
