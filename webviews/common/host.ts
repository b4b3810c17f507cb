/** The page's side of `server/protocol/pages.ts`. */
import * as z from "zod";
import {
  type AskSchemas,
  type AskType,
  HostMessage,
  type PageType,
  PanelState,
  type TellSchemas,
} from "../../server/protocol/pages.ts";

/** The host refused or failed; the message is for people. */
export class HostError extends Error {
  override readonly name = "HostError";
}

export interface Host<Asks extends AskSchemas, Tells extends TellSchemas, State extends z.ZodType> {
  ask<K extends keyof Asks & string>(name: K, params: z.input<Asks[K]["params"]>): Promise<z.output<Asks[K]["result"]>>;
  /** Sets the listener for one kind of news; each kind has at most one. */
  on<K extends keyof Tells & string>(name: K, listener: (data: z.output<Tells[K]>) => void): void;
  readonly state: z.output<State>;
  keep(state: z.output<State>): void;
}

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: HostError) => void;
}

/**
 * Connects a page to its host; call it once per page. It drops messages that do not fit their schemas and logs them to
 * the console.
 */
export function connect<Asks extends AskSchemas, Tells extends TellSchemas, State extends z.ZodType>(
  page: PageType<Asks, Tells, State>,
): Host<Asks, Tells, State> {
  const api = acquireVsCodeApi();
  const waiting = new Map<number, Waiting>();
  const listeners = new Map<string, (data: unknown) => void>();
  window.addEventListener("message", ({ data }: MessageEvent<unknown>) => receive(data, waiting, listeners));
  let last = 0;
  let state = keptState(page, api);
  const keep = (next: z.output<State>): void => {
    state = next;
    api.setState({ panel: document.body.dataset["panel"] ?? "", page: next });
  };
  // Stores the state at once, so that an untouched page is restored after a reload too: the host finds its panel by it.
  keep(state);
  return {
    async ask(name, params) {
      last += 1;
      const id = last;
      const result = new Promise<unknown>((resolve, reject) => waiting.set(id, { resolve, reject }));
      api.postMessage({ ask: name, id, params });
      return answerOf<Asks[typeof name]>(page.asks[name], await result);
    },
    on(name, listener) {
      listeners.set(name, (data) => listener(z.parse<Tells[typeof name]>(page.tells[name], data)));
    },
    get state() {
      return state;
    },
    keep,
  };
}

function receive(
  data: unknown,
  waiting: Map<number, Waiting>,
  listeners: ReadonlyMap<string, (data: unknown) => void>,
): void {
  const message = HostMessage.safeParse(data);
  if (!message.success) {
    console.error("LFP Lens: a message that is none was dropped");
    return;
  }
  if (message.data.kind === "tell") {
    listeners.get(message.data.name)?.(message.data.data);
    return;
  }
  const asker = waiting.get(message.data.id);
  waiting.delete(message.data.id);
  if (message.data.kind === "answer") asker?.resolve(message.data.result);
  else asker?.reject(new HostError(message.data.message));
}

function answerOf<Ask extends AskType<z.ZodType, z.ZodType>>({ result }: Ask, raw: unknown): z.output<Ask["result"]> {
  return z.parse<Ask["result"]>(result, raw);
}

/** The stored state, or the schema's defaults if there is none or if it comes from another version. */
function keptState<State extends z.ZodType>(
  page: { readonly state: State },
  api: ReturnType<typeof acquireVsCodeApi>,
): z.output<State> {
  const panel = PanelState.safeParse(api.getState());
  const kept = z.safeParse(page.state, panel.data?.page);
  return kept.success ? kept.data : z.parse(page.state, {});
}
