/** Endpoints that answer otherwise than the first schema expects, refuse in words of their own, send without end, or are not there. */
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cpuMs } from "../../test/support/cpu-time.ts";
import { FakeOpenAi, type SeenChat, sendAnswer, sendJson, sensibleAnswer } from "../../test/support/fake-openai.ts";
import { greatFeature } from "../../test/support/great-feature.ts";
import { Random } from "../common/random.ts";
import { firstForm, weakerForm } from "../endpoint/forms.ts";
import { jsonIn, withoutThinking } from "../endpoint/json-text.ts";
import { readReply } from "../endpoint/reply.ts";
import { Spend } from "../endpoint/spend.ts";
import { saidBy } from "../endpoint/transport.ts";
import { endpointExplainer } from "./endpoint-explainer.ts";
import { type ExplainOptions, explainFeatures } from "./explain-features.ts";

type Respond = (chat: SeenChat, response: Parameters<typeof sendAnswer>[0]) => void;

let server: FakeOpenAi;
let spend: Spend;
let answers: Map<string, { answer: string; inputTokens: number; outputTokens: number }>;
beforeEach(async () => {
  server = await FakeOpenAi.start();
  spend = new Spend({ maxTokens: null, maxUsd: null, prices: null });
  answers = new Map();
});
afterEach(() => server.stop());

function endpoint({ baseUrl = server.baseUrl, timeoutMs = 5000, thinkingTokens = 0, apiKey = "" } = {}) {
  return endpointExplainer({
    endpoint: { baseUrl, model: "fake-4", apiKey },
    spend,
    cache: { get: (key) => answers.get(key), set: (key, answer) => void answers.set(key, answer) },
    patience: { attempts: 3, longestWaitMs: 60_000, random: Random.fromSeed(1), sleep: () => Promise.resolve() },
    timeoutMs,
    thinkingTokens,
  });
}
const explainMany = (count: number, options: Partial<ExplainOptions> = {}) =>
  explainFeatures(
    Array.from({ length: count }, (_, at) => greatFeature(`L4/F${at}`, [`mark ${at}`])),
    { task: "sentiment", seed: 1, concurrency: 2, explainer: endpoint(), ...options },
  );
const intercept = (respond: Respond): void => {
  server.intercept = (chat, response) => {
    respond(chat, response);
    return true;
  };
};
const refuse = (response: Parameters<typeof sendAnswer>[0], message: string, status = 400): void =>
  sendJson(response, status, { error: { message } });

describe("an answer with thinking", () => {
  const drafts: Record<string, string> = {
    explanation: '{"explanation": "DRAFT"}',
    detection: '{"answers": [0, 0, 0, 0, 0]}',
    fuzzing: '{"answers": [0, 0, 0, 0, 0]}',
    relevance: '{"relevant": false, "polarity": "none", "confidence": 0.1, "why": "DRAFT"}',
  };

  it.each([
    ["in marks", (draft: string, text: string) => `<think>\nFirst idea: ${draft}. No.\n</think>\n${text}`],
    ["whose beginning is in the prompt", (draft: string, text: string) => `Hm, ${draft}?\n</think>\n\n${text}`],
    ["of another kind", (draft: string, text: string) => `[THINK]${draft}[/THINK]\`\`\`json\n${text}\n\`\`\``],
    [
      "without marks",
      (draft: string, text: string) => `The format is {"explanation": "..."}, so ${draft}. Rather:\n${text}`,
    ],
  ])("%s is what follows the drafts", async (_, write) => {
    intercept((chat, response) => sendAnswer(response, write(drafts[chat.name] ?? "", sensibleAnswer(chat))));
    const { explained } = await explainMany(2, { concurrency: 1 });
    expect(explained.map(({ explanation }) => explanation.text)).toEqual(['the word "great"', 'the word "great"']);
    expect(explained[0]?.scores.map(({ value }) => value)).toEqual([1, 1]);
    expect(explained[0]?.relevance).toMatchObject({ relevant: true });
    expect(server.seen).toHaveLength(new Set(server.seen.map(({ raw }) => raw)).size);
  });

  it.each<[string, string, unknown[]]>([
    ["an object", '{"a": 1}', [{ a: 1 }]],
    ["an object among words", 'Sure! {"a": "}{"} bye', [{ a: "}{" }]],
    ["one after a broken one", '{broken} then {"a": 1}', [{ a: 1 }]],
    ["several", '{"a": 1} and {"b": {"c": 2}}', [{ a: 1 }, { b: { c: 2 } }]],
    ["half an object", '{"a": ', []],
    ["nothing", "", []],
    ["an object within unfinished thinking", '<think>maybe {"a": 1}', []],
    ["JSON that speaks of thinking", '{"a": "the tag </think>"}', [{ a: "the tag </think>" }]],
  ])("finds the JSON in %s", (_, text, json) => {
    expect(jsonIn(text)).toEqual(json);
  });

  it("of nothing but braces is looked at in time", () => {
    const began = cpuMs();
    expect(jsonIn("{".repeat(3_000_000))).toEqual([]);
    expect(jsonIn('{"'.repeat(1_000_000))).toEqual([]);
    expect(cpuMs() - began).toBeLessThan(3000);
    expect(withoutThinking("<think>a</think>b<think>c")).toBe("b");
  });
});

describe("a reply", () => {
  it.each([{}, { prompt_tokens: 100, total_tokens: 100 }, { prompt_tokens: -1, completion_tokens: "many" }, "much"])(
    "with the usage %j counts, and is booked at the most it can have cost",
    async (usage) => {
      intercept((chat, response) => {
        const message = { role: "assistant", content: sensibleAnswer(chat) };
        sendJson(response, 200, { choices: [{ index: 0, finish_reason: "stop", message }], usage });
      });
      const { explained, failed } = await explainMany(1);
      expect(failed).toEqual([]);
      expect(explained).toHaveLength(1);
      expect(server.seen).toHaveLength(new Set(server.seen.map(({ raw }) => raw)).size);
      expect(spend.used.outputTokens).toBeGreaterThan(200);
    },
  );

  it("in parts, and of odd optional fields, is read", () => {
    const message = {
      content: [
        { type: "thinking", thinking: [] },
        { type: "text", text: "x" },
      ],
      refusal: 7,
    };
    const reply = JSON.stringify({ choices: [{ finish_reason: 3, message }] });
    expect(readReply(reply)).toEqual({
      kind: "answer",
      text: "x",
      usage: null,
      cut: false,
      thought: false,
      source: { id: null, model: null, provider: null, fingerprint: null },
    });
  });

  it("with an error in it says the error, and costs nothing", async () => {
    intercept((_, response) => sendJson(response, 200, { error: { message: "this model is overloaded", code: 502 } }));
    const { failed } = await explainMany(1);
    expect(failed[0]?.reason).toBe("it answered with an error: this model is overloaded, after 3 tries");
    expect(spend.used).toEqual({ inputTokens: 0, outputTokens: 0 });
  });

  it("that is a page says how it begins", async () => {
    intercept((_, response) => {
      response.writeHead(200, { "content-type": "text/html" }).end("<html>Sign in to the proxy</html>");
    });
    expect((await explainMany(1)).failed[0]?.reason).toContain('it begins "<html>Sign in to the proxy</html>"');
  });
});

describe("a model that thinks longer than the bound", () => {
  const cut = (response: Parameters<typeof sendAnswer>[0], message: object): void =>
    sendJson(response, 200, {
      choices: [{ index: 0, finish_reason: "length", message: { role: "assistant", ...message } }],
      usage: { prompt_tokens: 700, completion_tokens: 200 },
    });
  const boundOf = ({ body }: SeenChat): number => Number(body["max_tokens"]);

  it.each([
    ["in a field of its own", { content: "", reasoning: "The user wants" }],
    ["in the answer", { content: "<think>\nOkay, so I need to" }],
  ])("%s is asked again with room to think, and then at once", async (_, message) => {
    intercept((chat, response) =>
      boundOf(chat) < 1000 ? cut(response, message) : sendAnswer(response, sensibleAnswer(chat)),
    );
    const { explained } = await explainMany(2, { concurrency: 1 });
    expect(explained[1]?.scores.map(({ value }) => value)).toEqual([1, 1]);
    expect(server.seen.filter((chat) => boundOf(chat) < 1000)).toHaveLength(1);
    expect(server.seen.at(-1)?.body).toMatchObject({ reasoning_effort: "low" });
    expect(spend.used.outputTokens).toBeGreaterThanOrEqual(200);
  });

  it("and has no room either says where its tokens went, within the cap", async () => {
    intercept((_, response) => cut(response, { content: "", reasoning: "The user wants" }));
    const { failed } = await explainMany(1);
    expect(failed[0]?.reason).toMatch(
      /^the answer was cut at 4200 tokens; the model spent them on thinking \(--thinking/,
    );
    spend = new Spend({ maxTokens: 7000, maxUsd: null, prices: null });
    expect(await explainMany(1)).toMatchObject({ stoppedAtCap: true });
    expect(spend.used.inputTokens + spend.used.outputTokens).toBeLessThanOrEqual(7000);
  });

  it("has as much room from the first question on as it is given", async () => {
    await explainMany(1, { explainer: endpoint({ thinkingTokens: 9000 }) });
    expect(boundOf(server.seen[0] ?? expect.fail("nothing was asked"))).toBe(9200);
  });

  it("on a server that does not know how much to think is not told", async () => {
    intercept((chat, response) => {
      if ("reasoning_effort" in chat.body) refuse(response, "Unrecognized request argument: reasoning_effort");
      else if (boundOf(chat) < 1000) cut(response, { content: "" });
      else sendAnswer(response, sensibleAnswer(chat));
    });
    expect((await explainMany(2)).failed).toEqual([]);
    expect(server.seen.filter(({ body }) => "reasoning_effort" in body).length).toBeLessThanOrEqual(2);
  });
});

describe("a server that refuses a form of request", () => {
  it("by max_tokens costs no feature, however many ask at once", async () => {
    intercept((chat, response) => {
      if ("max_tokens" in chat.body)
        refuse(response, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'.");
      else if ("temperature" in chat.body) refuse(response, "Unsupported value: 'temperature' does not support 0.");
      else sendAnswer(response, sensibleAnswer(chat));
    });
    const { explained, failed } = await explainMany(10, { concurrency: 4 });
    expect([explained.length, failed]).toEqual([10, []]);
    expect(explained.flatMap(({ lost }) => lost)).toEqual([]);
  });

  it.each([
    ["The provided JSON schema contains features not supported by xgrammar.", "top"],
    ["Failed to initialize samplers: failed to parse grammar", "error"],
    [`${"litellm.BadRequestError: refused by the backend ".repeat(10)}: response_format is not supported`, "error"],
    ["no", "detail"],
  ])("%s is asked without the schema, and that is remembered", async (message, where) => {
    const isRefused = ({ body }: SeenChat): boolean =>
      body.response_format?.type === "json_schema" && JSON.stringify(body.response_format).includes("minItems");
    intercept((chat, response) => {
      if (!isRefused(chat)) return sendAnswer(response, sensibleAnswer(chat));
      if (where === "error") refuse(response, message);
      else sendJson(response, 422, where === "top" ? { object: "error", message } : { detail: message });
    });
    const { explained } = await explainMany(2, { concurrency: 1 });
    expect(explained.map(({ scores }) => scores.map(({ value }) => value))).toEqual([
      [1, 1],
      [1, 1],
    ]);
    // Once for each of the two kinds of question.
    expect(server.seen.filter(isRefused)).toHaveLength(2);
    expect(
      server.seen.filter(({ name, body }) => name === "explanation" && body.response_format?.type === "json_schema"),
    ).toHaveLength(2);
  });

  it("and refuses judgements in every form says how many are lost, and why", async () => {
    intercept((chat, response) => {
      if (chat.name === "detection") refuse(response, "no lists here");
      else sendAnswer(response, sensibleAnswer(chat));
    });
    const { explained } = await explainMany(2);
    expect(explained[0]?.scores.map(({ method }) => method)).toEqual(["fuzzing"]);
    const reason = "it refused the request (400: no lists here)";
    expect(explained[0]?.lost).toEqual([
      { what: "detection", judgements: 40, reason },
      { what: "control", judgements: 40, reason },
    ]);
  });

  it("for its length is not asked in other forms", () => {
    const form = firstForm(0);
    const long =
      "This model's maximum context length is 512 tokens. Please reduce the length of the messages or max_tokens.";
    expect(weakerForm(form, { body: long })).toBeUndefined();
    expect(weakerForm({ ...form, format: "text" }, { body: "what?" })).toBeUndefined();
    expect(weakerForm(form, { body: "what?" })).toMatchObject({ format: "object" });
  });

  it.each([
    ['{"error":{"message":"a"}}', "a"],
    ['{"error":"a"}', "a"],
    ['{"object":"error","message":"a"}', "a"],
    [
      '{"detail":[{"loc":["body","seed"],"msg":"Extra inputs are not permitted"}]}',
      "body seed Extra inputs are not permitted",
    ],
    ["404 page not found", "404 page not found"],
  ])("says what stands in %s", (body, said) => {
    expect(saidBy(body)).toBe(said);
  });
});

describe("a server that is of no use", () => {
  it.each<[string, number, unknown, RegExp, string]>([
    [
      "quota",
      429,
      { error: { message: "You exceeded your current quota", code: "insufficient_quota" } },
      /takes no more requests \(429: You exceeded/,
      "resource",
    ],
    ["credit", 402, { error: "no credit" }, /takes no more requests \(402: no credit/, "resource"],
    [
      "model",
      404,
      { error: { message: 'model "fake-4" not found' } },
      /knows no model fake-4 \(404: model "fake-4" not found/,
      "not-found",
    ],
    ["path", 404, "404 page not found", /has nothing at \/v1\/chat\/completions .*mostly end in \/v1/, "not-found"],
    ["key", 401, { error: { message: "who are you?" } }, /wants a key \(401: who are you\?/, "usage"],
    ["key", 403, { error: { message: "not in your country" } }, /\(403: not in your country/, "usage"],
  ])("for its %s ends it with the first request (%i)", async (_, status, body, says, code) => {
    intercept((_chat, response) => {
      if (typeof body === "string") response.writeHead(status, { "content-type": "text/plain" }).end(body);
      else sendJson(response, status, body);
    });
    const error = await explainMany(10, { concurrency: 1 }).catch((thrown: unknown) => thrown);
    expect(String(error)).toMatch(says);
    expect(error).toMatchObject({ code });
    expect(server.seen).toHaveLength(1);
  });

  it("is not there: nothing is waited for", async () => {
    const { baseUrl } = server;
    await server.stop();
    const began = performance.now();
    const explainer = endpoint({ baseUrl });
    await expect(explainMany(10, { explainer })).rejects.toThrow(/could not be reached \(ECONNREFUSED\)/);
    expect(performance.now() - began).toBeLessThan(2000);
    await expect(explainMany(1, { explainer: endpoint({ baseUrl: "http://127.0.0.1:9/v1" }) })).rejects.toThrow(
      /could not be reached \(bad port\)/,
    );
    server = await FakeOpenAi.start();
  });

  it("stays down: after five questions it is asked no more", async () => {
    intercept((_, response) => refuse(response, "down", 503));
    const down = explainMany(30, { concurrency: 1 });
    await expect(down).rejects.toThrow(
      /left 5 questions in a row without an answer: it answered with status 503 \(down\)/,
    );
    expect(server.seen).toHaveLength(15);
  });
});

describe("an answer without end", () => {
  const head = { "content-type": "application/json" };

  it.each<[string, Respond]>([
    ["nothing", () => undefined],
    ["headers alone", (_, response) => void response.writeHead(200, head).flushHeaders()],
    ["half a body", (_, response) => void response.writeHead(200, head).write('{"choices": [')],
    [
      "a body that trickles",
      (_, response) => {
        response.writeHead(200, head);
        const timer = setInterval(() => response.write(" "), 20);
        response.on("close", () => clearInterval(timer));
      },
    ],
  ])("that is %s ends it with the time for one answer, at the cost of one", async (_, respond) => {
    intercept(respond);
    const began = performance.now();
    const explainer = endpoint({ timeoutMs: 300 });
    await expect(explainMany(5, { explainer, concurrency: 1 })).rejects.toThrow(/did not answer within 0.3 s/);
    expect(performance.now() - began).toBeLessThan(2500);
    expect(server.seen).toHaveLength(1);
    expect(spend.used.outputTokens).toBe(200);
  });

  it("after others is tried once more, and then costs its feature alone", async () => {
    server.intercept = (chat) => chat.raw.includes("mark 1");
    const explainer = endpoint({ timeoutMs: 200 });
    const { explained, failed } = await explainMany(2, { explainer, concurrency: 1 });
    expect(explained.map(({ id }) => id)).toEqual(["L4/F0"]);
    expect(failed).toEqual([{ id: "L4/F1", reason: "it did not answer within 0.2 s, after 2 tries" }]);
  });

  it.each<[string, Respond]>([
    [
      "of gigabytes in a small body",
      (_, response) => {
        const bomb = gzipSync(Buffer.alloc(64 * 2 ** 20, " "), { level: 9 });
        response.writeHead(200, { ...head, "content-encoding": "gzip" });
        // Members of one gzip stream follow one another.
        for (let member = 0; member < 32; member++) response.write(bomb);
        response.end();
      },
    ],
    [
      "sent as fast as it is read",
      (_, response) => {
        response.writeHead(200, head);
        const part = Buffer.alloc(2 ** 20, " ");
        const more = (): void => {
          while (!response.destroyed && response.write(part));
        };
        response.on("drain", more);
        more();
      },
    ],
  ])("%s is given up at a bound on its decoded bytes", async (_, respond) => {
    intercept(respond);
    const before = process.memoryUsage().rss;
    await expect(explainMany(1)).rejects.toThrow(/its answer is too large: it has more than 4194304 bytes/);
    expect(process.memoryUsage().rss - before).toBeLessThan(400 * 2 ** 20);
  });
});
