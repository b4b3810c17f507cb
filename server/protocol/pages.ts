/**
 * The protocol between pages inside VS Code and their host, the extension: a page sends questions (asks) and gets
 * replies; the host sends news (tells). A page can send only what its declaration lists, and both sides check what they
 * receive with its schemas. A page names features and files by ids; only the host knows which run and folder it is
 * about.
 */
import * as z from "zod";

/** A question from page to host, with one reply. */
export interface AskType<Params extends z.ZodType, Result extends z.ZodType> {
  readonly params: Params;
  readonly result: Result;
}

/** A page's questions, by name. */
export type AskSchemas = Record<string, AskType<z.ZodType, z.ZodType>>;
/** The host's news to a page, by name. */
export type TellSchemas = Record<string, z.ZodType>;

export interface PageType<Asks extends AskSchemas, Tells extends TellSchemas, State extends z.ZodType> {
  /** Also the name of its script; `lfpLens.` plus this name is its view type. */
  readonly name: string;
  readonly asks: Asks;
  readonly tells: Tells;
  /** State that the page keeps while it is hidden; small, and without data. */
  readonly state: State;
}

/** Declares a page; the page and the host parse with its schemas. */
export function definePage<Asks extends AskSchemas, Tells extends TellSchemas, State extends z.ZodType>(
  page: PageType<Asks, Tells, State>,
): PageType<Asks, Tells, State> {
  return page;
}

/** Declares a question: its parameters and its result. */
export function ask<Params extends z.ZodType, Result extends z.ZodType>(
  params: Params,
  result: Result,
): AskType<Params, Result> {
  return { params, result };
}

/** A question as the host receives it from a page. */
const AskMessage = z.strictObject({ ask: z.string().max(40), id: z.int().min(0), params: z.unknown() });

/** A message from the host: a reply, or news. */
export const HostMessage = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("answer"), id: z.int().min(0), result: z.unknown() }),
  z.object({ kind: z.literal("refusal"), id: z.int().min(0), message: z.string() }),
  z.object({ kind: z.literal("tell"), name: z.string(), data: z.unknown() }),
]);
export type HostMessage = z.infer<typeof HostMessage>;

/**
 * Identifies the host's panel that shows a page: the host issues the id, and the page returns it when VS Code restores
 * the page.
 */
export const PanelState = z.object({ panel: z.string().regex(/^[0-9a-f-]{36}$/), page: z.unknown() });
export type PanelState = z.infer<typeof PanelState>;

/** What the host does for each of a page's questions. An error's message is shown in the page. */
export type AskHandlers<Asks extends AskSchemas> = {
  readonly [K in keyof Asks]: (params: z.output<Asks[K]["params"]>) => Promise<z.output<Asks[K]["result"]>>;
};

/** Why the host dropped a message from a page. */
export interface Refused {
  readonly refused: string;
}

/** Maximum length of a page's message as JSON, in UTF-16 units; the host drops longer ones. */
export const maxMessageLength = 1_000_000;

/**
 * Returns a function that answers a page's messages: with the host's reply, or, if a message is not one of the page's
 * questions, with the reason for dropping it. Never throws.
 */
export function answering<Asks extends AskSchemas>(
  page: { readonly asks: Asks },
  handlers: AskHandlers<Asks>,
): (raw: unknown) => Promise<HostMessage | Refused> {
  const answers = new Map<string, (params: unknown) => Promise<Result>>();
  const add = <K extends keyof Asks & string>(name: K): void => {
    answers.set(name, checked<Asks[K]>(page.asks[name], handlers[name]));
  };
  for (const name of Object.keys(page.asks)) add(name);
  return async (raw) => {
    if (lengthOf(raw) > maxMessageLength) return { refused: `longer than ${maxMessageLength} characters` };
    const message = AskMessage.safeParse(raw);
    if (!message.success) return { refused: "not a question" };
    const { id, ask: name, params } = message.data;
    const answer = answers.get(name);
    if (answer === undefined) return { refused: `no question of this page: ${JSON.stringify(name)}` };
    const result = await answer(params);
    if (result.kind === "refused") return { refused: `${name}: ${result.why}` };
    return result.kind === "failed"
      ? { kind: "refusal", id, message: result.message }
      : { kind: "answer", id, result: result.value };
  };
}

type Result =
  | { readonly kind: "done"; readonly value: unknown }
  | { readonly kind: "failed"; readonly message: string }
  | { readonly kind: "refused"; readonly why: string };

function checked<Ask extends AskType<z.ZodType, z.ZodType>>(
  { params: schema }: Ask,
  handler: (params: z.output<Ask["params"]>) => Promise<z.output<Ask["result"]>>,
): (params: unknown) => Promise<Result> {
  return async (raw) => {
    const params = z.safeParse<Ask["params"]>(schema, raw);
    if (!params.success) return { kind: "refused", why: z.prettifyError(params.error) };
    try {
      return { kind: "done", value: await handler(params.data) };
    } catch (error) {
      return { kind: "failed", message: error instanceof Error ? error.message : String(error) };
    }
  };
}

/** Length of the message as JSON; what cannot be written as JSON is no message. */
function lengthOf(raw: unknown): number {
  try {
    return JSON.stringify([raw]).length;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
