/**
 * Declarations of messages: a method, and schemas for its content. Both sides parse with these schemas, so each checks
 * what it receives, and every method's name is written once.
 */
import type { z } from "zod";

/** A request from editor to server, with one response. */
export interface RequestType<Params extends z.ZodType, Result extends z.ZodType> {
  readonly method: `lfp/${string}`;
  readonly params: Params;
  readonly result: Result;
}

/** A notification, which has no response; each declaration says which side sends it. */
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

/** A message's parameters, once parsed. */
export type ParamsOf<R> = R extends { readonly params: z.ZodType<infer P> } ? P : never;
/** A request's result, once parsed. */
export type ResultOf<R> = R extends { readonly result: z.ZodType<infer P> } ? P : never;
