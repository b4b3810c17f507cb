/** A server on 127.0.0.1 that speaks as much of the OpenAI protocol as explaining needs, and can be told to misbehave. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface SeenChat {
  readonly authorization: string | undefined;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly raw: string;
  readonly body: {
    readonly model: string;
    readonly messages: readonly { readonly role: string; readonly content: string }[];
    readonly temperature?: number;
    readonly stream?: boolean;
    readonly response_format?: { readonly type: string; readonly json_schema?: { readonly name: string } };
    readonly [more: string]: unknown;
  };
  /** Name of the answer's schema, or, where none was sent, of the question that it looks like. */
  readonly name: string;
}

export class FakeOpenAi {
  readonly seen: SeenChat[] = [];
  /** Answers a chat by itself when it returns true. */
  intercept: (chat: SeenChat, response: ServerResponse) => boolean = () => false;
  /** The content of an answer; `undefined`: what `sensibleAnswer` says. */
  answer: (chat: SeenChat) => string | undefined = () => undefined;
  baseUrl = "";
  #server: Server | undefined;

  static async start(): Promise<FakeOpenAi> {
    const fake = new FakeOpenAi();
    const server = createServer((request, response) => {
      let raw = "";
      request.setEncoding("utf8");
      request.on("data", (part: string) => {
        raw += part;
      });
      request.on("end", () => fake.#reply(request, raw, response));
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    fake.#server = server;
    fake.baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
    return fake;
  }

  async stop(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise<void>((done) => this.#server?.close(() => done()));
  }

  #reply(request: IncomingMessage, raw: string, response: ServerResponse): void {
    const body = JSON.parse(raw);
    const chat: SeenChat = {
      authorization: request.headers.authorization,
      path: request.url ?? "",
      headers: request.headers,
      raw,
      body,
      name: body.response_format?.json_schema?.name ?? nameBy(body),
    };
    this.seen.push(chat);
    if (this.intercept(chat, response)) return;
    sendAnswer(response, this.answer(chat) ?? sensibleAnswer(chat));
  }
}

export function sendAnswer(response: ServerResponse, content: string | null, message: object = {}): void {
  sendJson(response, 200, {
    choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content, refusal: null, ...message } }],
    usage: { prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 },
  });
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
) {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}

export function nameBy({ messages }: SeenChat["body"]): string {
  const question = messages[1]?.content ?? "";
  if (question.includes("examples_with_activation")) return "explanation";
  if (question.includes('"texts"')) return question.includes("⟦") ? "fuzzing" : "detection";
  return "relevance";
}

/** As a model that sees that the feature is about "great" would answer. */
export function sensibleAnswer({ body, name }: SeenChat): string {
  const question = JSON.parse(body.messages[1]?.content ?? "{}");
  if (name === "explanation") return JSON.stringify({ explanation: 'the word "great"' });
  if (name === "relevance") {
    return JSON.stringify({ relevant: true, polarity: "positive", confidence: 0.9, why: "it is praise" });
  }
  const texts: string[] = question.texts ?? [];
  const right = (text: string): boolean =>
    name === "fuzzing" ? text.includes("⟦ great⟧") : question.description.includes("great") && text.includes("great");
  return JSON.stringify({ answers: texts.map((text) => Number(right(text))) });
}
