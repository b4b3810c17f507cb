/** Forms of request that servers accept. When a server refuses one, the next request uses the next weaker form. */
import type { StatusError } from "./transport.ts";

/** Ways to request an answer's shape, which servers support to different degrees; from the strongest to the weakest. */
const formats = ["schema", "object", "text"] as const;
export type Format = (typeof formats)[number];

/** Names of the bound on an answer's tokens: newer models use the second, older servers know only `max_tokens`. */
const boundNames = ["max_tokens", "max_completion_tokens"] as const;

/** Requested reasoning effort: not mentioned, low, or not mentioned because the server refused the parameter. */
const efforts = ["unsaid", "low", "refused"] as const;

export interface Form {
  readonly format: Format;
  readonly sendsTemperature: boolean;
  readonly boundName: (typeof boundNames)[number];
  readonly effort: (typeof efforts)[number];
  /** Tokens for a model's thinking, besides those of the answer. */
  readonly thinkingTokens: number;
}

export function firstForm(thinkingTokens: number): Form {
  return { format: "schema", sendsTemperature: true, boundName: "max_tokens", effort: "unsaid", thinkingTokens };
}

/**
 * The form to try after a server refused the request (400 or 422): without the parameter that the message names, or,
 * if it names no known one, with a weaker way to request the shape. Undefined if no weaker form would help. Depends
 * on what this request sent, not on what others have learned meanwhile.
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

/** The weaker of two in every respect: concurrent requests cannot undo what another has learned. */
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
