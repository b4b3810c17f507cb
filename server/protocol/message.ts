/**
 * How a message is declared: its method, and schemas for what it carries. Both sides parse with these schemas, so a message is checked where
 * it arrives, and nobody writes a method's name twice.
 */
import type { z } from "zod";

/** A question from editor to server with one answer. */
export interface RequestType<Params extends z.ZodType, Result extends z.ZodType> {
  readonly method: `lfp/${string}`;
  readonly params: Params;
  readonly result: Result;
}

/** Something told without an answer; each declaration says which side tells it. */
export interface NotificationType<Params extends z.ZodType> {
  readonly method: `lfp/${string}`;
  readonly params: Params;
}

/** Declares a request; both sides parse with its schemas. */
export function defineRequest<Params extends z.ZodType, Result extends z.ZodType>(
  method: `lfp/${string}`,
  params: Params,
  result: Result,
): RequestType<Params, Result> {
  return { method, params, result };
}

/** Declares a notification. */
export function defineNotification<Params extends z.ZodType>(
  method: `lfp/${string}`,
  params: Params,
): NotificationType<Params> {
  return { method, params };
}

/** What a request takes, once parsed. */
export type ParamsOf<R> = R extends { readonly params: z.ZodType<infer P> } ? P : never;
/** What a request gives, once parsed. */
export type ResultOf<R> = R extends { readonly result: z.ZodType<infer P> } ? P : never;
