import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeOpenAi, type SeenChat, sendAnswer, sendJson } from "../../test/support/fake-openai.ts";
import { greatFeature } from "../../test/support/great-feature.ts";
import { injections } from "../../test/support/injections.ts";
import { Random } from "../common/random.ts";
import { visible } from "../common/untrusted-text.ts";
import { checkAddress } from "../endpoint/address.ts";
import type { AnswerCache } from "../endpoint/chat.ts";
import { retryAfterOf } from "../endpoint/patience.ts";
import { inert } from "../endpoint/plain-text.ts";
import { Spend, type SpendOptions } from "../endpoint/spend.ts";
import { showCell } from "../pipeline/report/document.ts";
import { endpointExplainer, estimateCost } from "./endpoint-explainer.ts";
import { type ExplainOptions, explainFeatures } from "./explain-features.ts";
import { offlineExplainer } from "./offline.ts";
import { balancedAccuracy } from "./score.ts";
import type { FeatureCase } from "./types.ts";
import { wordAt } from "./window-text.ts";

const canary = "sk-canary-7f3a91c04d";

const run = (features: readonly FeatureCase[], options: Partial<ExplainOptions> & Pick<ExplainOptions, "explainer">) =>
  explainFeatures(features, { task: "sentiment", seed: 1, concurrency: 2, ...options });

describe("the offline explainer", () => {
  const offline = (
    wordValues = new Map([
      ["great", 3.1],
      ["awful", -2],
    ]),
  ) => offlineExplainer({ wordValues, background: [["film", " was", " great", " fun", " it", " is"]] });

  it("names the words, tells relevance and polarity, and is scored on other windows", async () => {
    const { explained, failed } = await run([greatFeature(), greatFeature("L4/F2")], { explainer: offline() });
    expect(failed).toEqual([]);
    const [first] = explained;
    expect(first?.explanation.text).toMatch(/strongest on "great" \(100 % of its strength\); promotes "good"/);
    expect(first?.relevance).toMatchObject({ relevant: true, polarity: "positive" });
    expect(first?.scores.map(({ method, value, windows }) => [method, value, windows])).toEqual([
      ["detection", 1, 40],
      ["fuzzing", 1, 40],
    ]);
  });

  it("calls a feature on words that the feedback does not rate irrelevant, and finds nothing in a dead one", async () => {
    const dead = { ...greatFeature("L4/F3"), explain: { active: [], silent: [] } };
    const { explained, failed } = await run([greatFeature(), dead], { explainer: offline(new Map([["awful", -2]])) });
    expect(explained[0]?.relevance).toMatchObject({ relevant: false, polarity: "none" });
    expect(failed).toEqual([{ id: "L4/F3", reason: "the feature is active in no window" }]);
  });

  it("looks up whole words for tokens that are pieces of them", () => {
    expect(wordAt([" un", "pleas", "ant", " film"], 1)).toBe("unpleasant");
    expect(wordAt([" The", " film"], 1)).toBe("film");
    expect(wordAt([" fun", ".", " A"], 1)).toBe(".");
  });
});

describe("scores", () => {
  it("are the mean of two rates, with Newcombe's interval", () => {
    // 16 of 20 and 18 of 20: Wilson gives 0.5840 to 0.9193 and 0.6990 to 0.9721.
    const { value, low, high } = balancedAccuracy([16, 20], [18, 20]);
    expect(value).toBeCloseTo(0.85, 12);
    expect(low).toBeCloseTo(0.85 - Math.hypot(0.8 - 0.58398, 0.9 - 0.69897) / 2, 4);
    expect(high).toBeCloseTo(0.85 + Math.hypot(0.91933 - 0.8, 0.97214 - 0.9) / 2, 4);
  });
});

describe("an endpoint", () => {
  let server: FakeOpenAi;
  let waits: number[];
  let answers: Map<string, ReturnType<AnswerCache["get"]>>;
  beforeEach(async () => {
    server = await FakeOpenAi.start();
    waits = [];
    answers = new Map();
  });
  afterEach(() => server.stop());

  const noBound: SpendOptions = { maxTokens: null, maxUsd: null, prices: null };
  function endpoint({ spend = new Spend(noBound), apiKey = canary, timeoutMs = 5000 } = {}) {
    return endpointExplainer({
      endpoint: { baseUrl: server.baseUrl, model: "fake-4", apiKey },
      spend,
      cache: { get: (key) => answers.get(key), set: (key, answer) => void answers.set(key, answer) },
      patience: {
        attempts: 3,
        longestWaitMs: 60_000,
        random: Random.fromSeed(1),
        sleep: async (ms) => void waits.push(ms),
      },
      timeoutMs,
    });
  }
  const asked = (name: string): SeenChat[] => server.seen.filter((chat) => chat.name === name);

  it("explains, judges and is scored; the key is in a header and nowhere else", async () => {
    const { explained, failed, stoppedAtCap } = await run([greatFeature(), greatFeature("L4/F2")], {
      explainer: endpoint(),
      concurrency: 1,
    });
    expect({ failed, stoppedAtCap }).toEqual({ failed: [], stoppedAtCap: false });
    expect(explained.map(({ explanation }) => explanation.text)).toEqual(['the word "great"', 'the word "great"']);
    for (const { scores, relevance } of explained) {
      expect(scores.map(({ value }) => value)).toEqual([1, 1]);
      expect(relevance).toMatchObject({ relevant: true, polarity: "positive" });
    }
    expect(asked("explanation")).toHaveLength(1);
    for (const { body, raw, path, authorization, headers } of server.seen) {
      expect(body).toMatchObject({ model: "fake-4", temperature: 0, stream: false, seed: 0 });
      expect(body.response_format).toMatchObject({ type: "json_schema", json_schema: { strict: true } });
      expect(body.messages.map(({ role }) => role)).toEqual(["system", "user"]);
      expect(path).toBe("/v1/chat/completions");
      expect(authorization).toBe(`Bearer ${canary}`);
      expect(raw).not.toContain(canary);
      expect(raw).not.toMatch(/\/work\/|\/home\/|\/tmp\//);
      expect(Object.keys(headers)).not.toContain("openai-organization");
    }
  });

  it("gets nothing of what the environment has for another one", async () => {
    vi.stubEnv(
      "OPENAI_CUSTOM_HEADERS",
      "Authorization: Bearer other-key\nX-Other: other-header\nUser-Agent: other-agent",
    );
    vi.stubEnv("OPENAI_ADMIN_KEY", "other-admin");
    vi.stubEnv("OPENAI_ORG_ID", "other-org");
    await run([greatFeature()], { explainer: endpoint() });
    answers.clear();
    await run([greatFeature()], { explainer: endpoint({ apiKey: "" }) });
    vi.unstubAllEnvs();
    expect(new Set(server.seen.map(({ authorization }) => authorization))).toEqual(
      new Set([`Bearer ${canary}`, undefined]),
    );
    for (const { headers } of server.seen) expect(JSON.stringify(headers)).not.toMatch(/other/i);
  });

  it("is waited for as long as it asks after 429, and longer each time after 500", async () => {
    const refusals = [
      { status: 429, headers: { "retry-after": "7" } },
      { status: 500, headers: {} },
    ];
    server.intercept = (_, response) => {
      const refusal = refusals.shift();
      if (refusal !== undefined) sendJson(response, refusal.status, { error: { message: "busy" } }, refusal.headers);
      return refusal !== undefined;
    };
    const { explained } = await run([greatFeature()], { explainer: endpoint(), concurrency: 1 });
    expect(explained).toHaveLength(1);
    expect(waits[0]).toBe(7000);
    expect(waits[1]).toBeGreaterThan(700);
    expect(waits[1]).toBeLessThanOrEqual(1000);
  });

  it("that stays down, or asks for too long a wait, costs the feature its explanation and nothing else", async () => {
    server.intercept = (_, response) => {
      sendJson(response, 503, { error: { message: "down" } });
      return true;
    };
    const down = await run([greatFeature()], { explainer: endpoint() });
    expect(down.failed[0]?.reason).toBe("it answered with status 503 (down), after 3 tries");
    server.intercept = (_, response) => {
      sendJson(response, 429, {}, { "retry-after": "86400" });
      return true;
    };
    const later = await run([greatFeature()], { explainer: endpoint() });
    expect(later.failed[0]?.reason).toBe("it answered with status 429 ({}), after 1 try");
    expect(answers.size).toBe(0);
  });

  it("that answers with half of the JSON is asked once more; what stays unusable is counted as that", async () => {
    let broken = 1;
    server.answer = ({ name }) => (name === "explanation" && broken-- > 0 ? '{"explanation": "the wo' : undefined);
    const { explained } = await run([greatFeature()], { explainer: endpoint() });
    expect(explained[0]?.explanation.text).toBe('the word "great"');
    expect(server.seen[1]?.body.messages.map(({ role }) => role)).toEqual(["system", "user", "assistant", "user"]);
    expect(server.seen[1]?.body.messages[3]?.content).toContain("no JSON could be found");

    server.answer = ({ name, body }) => {
      if (name !== "detection" || !body.messages[1]?.content.includes("film 3 ")) return undefined;
      return '{"answers": [1]}';
    };
    answers.clear();
    const again = await run([greatFeature()], { explainer: endpoint() });
    const [detection] = again.explained[0]?.scores ?? [];
    expect(detection?.unusable).toBeGreaterThanOrEqual(5);
    expect((detection?.windows ?? 0) + (detection?.unusable ?? 0)).toBe(40);
  });

  it("that refuses, answers nothing, or sends no chat at all gives a reason", async () => {
    const replies: [string, (chat: SeenChat, response: Parameters<typeof sendAnswer>[0]) => void][] = [
      ["the model refused: I cannot help", (_, response) => sendAnswer(response, null, { refusal: "I cannot help" })],
      ["the answer is empty", (_, response) => sendAnswer(response, "")],
      [
        'its reply is no chat completion (it begins "{\\"hello\\":1}"), after 2 tries',
        (_, response) => sendJson(response, 200, { hello: 1 }),
      ],
      [
        "its reply is no chat completion (it begins",
        (_, response) => void response.writeHead(200, { "content-type": "application/json" }).end('{"choices": ['),
      ],
      ["it could not be reached", (_, response) => void response.destroy()],
      [
        "it refused the request (400: no such thing)",
        (_, response) => sendJson(response, 400, { error: { message: "no such thing" } }),
      ],
    ];
    for (const [reason, reply] of replies) {
      server.intercept = (chat, response) => {
        reply(chat, response);
        return true;
      };
      const { failed } = await run([greatFeature()], { explainer: endpoint() });
      expect(failed[0]?.reason).toContain(reason);
    }
  });

  it("without schemas, temperatures or the old bound's name is asked in a way that it knows", async () => {
    const refusals = [
      "response_format json_schema is unknown",
      "json_object: unknown response_format",
      "temperature is fixed",
      "use max_completion_tokens",
    ];
    server.intercept = (_, response) => {
      const message = refusals.shift();
      if (message !== undefined) sendJson(response, 400, { error: { message } });
      return message !== undefined;
    };
    server.answer = ({ body }) =>
      body.messages[0]?.content.includes("studies") === undefined
        ? undefined
        : 'Here it is:\n```json\n{"explanation": "x"}\n```';
    const outcome = await endpoint().explain(greatFeature());
    expect(outcome).toMatchObject({ kind: "answer", value: { text: "x" } });
    const last = server.seen.at(-1)?.body;
    expect(last).not.toHaveProperty("temperature");
    expect(last).not.toHaveProperty("response_format");
    expect(last).toHaveProperty("max_completion_tokens", 200);
    expect(last?.messages[0]?.content).toContain('"additionalProperties":false');
    expect(waits).toEqual([]);
  });

  it("is never paid more than the cap, and the next call goes on without asking anything twice", async () => {
    const features = Array.from({ length: 6 }, (_, at) => greatFeature(`L4/F${at}`, [`mark ${at}`]));
    const bound = { maxTokens: 12_000, maxUsd: null, prices: null };
    const spend = new Spend(bound);
    const first = await run(features, { explainer: endpoint({ spend }), concurrency: 3 });
    expect(first.stoppedAtCap).toBe(true);
    expect(first.explained.length).toBeLessThan(6);
    expect(spend.used.inputTokens + spend.used.outputTokens).toBeLessThanOrEqual(12_000);
    const before = server.seen.length;
    expect(before).toBeGreaterThan(3);
    const second = await run(features, { explainer: endpoint(), concurrency: 3 });
    expect(second.explained).toHaveLength(6);
    const contents = server.seen.map(({ body }) => JSON.stringify(body.messages));
    expect(contents.slice(before).filter((content) => contents.slice(0, before).includes(content))).toEqual([]);
    const dollars = new Spend({ maxTokens: null, maxUsd: 0.01, prices: { inputUsd: 5, outputUsd: 15 } });
    expect((await run(features, { explainer: endpoint({ spend: dollars }), task: "other" })).stoppedAtCap).toBe(true);
    expect(dollars.usd).toBeLessThanOrEqual(0.01);
  });

  it("has its explanations told before any is scored, so that a stop in the middle loses none", async () => {
    const features = Array.from({ length: 4 }, (_, at) => greatFeature(`L4/F${at}`, [`mark ${at}`]));
    const stop = new AbortController();
    const drafts: string[] = [];
    const told: string[] = [];
    const running = run(features, {
      explainer: endpoint(),
      concurrency: 1,
      signal: stop.signal,
      onDraft: ({ id }) => void drafts.push(id),
      onExplained: ({ id }) => {
        told.push(id);
        stop.abort(new Error("enough"));
      },
    });
    await expect(running).rejects.toThrow("enough");
    expect(drafts).toEqual(["L4/F0", "L4/F1", "L4/F2", "L4/F3"]);
    expect(told).toEqual(["L4/F0"]);
  });

  it("stops everything when it refuses the key, without saying the key, which it may have sent back", async () => {
    server.intercept = (_, response) => {
      sendJson(response, 401, { error: { message: `Incorrect API key provided: ${canary}` } });
      return true;
    };
    const error = await run([greatFeature()], { explainer: endpoint() }).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: "usage" });
    server.intercept = (_, response) => {
      sendJson(response, 400, { error: { message: `what is ${canary}?` } });
      return true;
    };
    const { failed } = await run([greatFeature()], { explainer: endpoint() });
    expect(failed[0]?.reason).toContain("what is [key]?");
    expect(
      JSON.stringify([error, String(error), error instanceof Error ? error.stack : "", failed, [...answers]]),
    ).not.toContain(canary);
  });

  it("cannot send the request on to another place", async () => {
    const other = await FakeOpenAi.start();
    try {
      server.intercept = (_, response) => {
        response.writeHead(307, { location: `${other.baseUrl}/chat/completions` }).end();
        return true;
      };
      const redirected = run([greatFeature()], { explainer: endpoint() });
      await expect(redirected).rejects.toThrow(`redirects to ${other.baseUrl}/chat/completions; give that address`);
      expect(other.seen).toEqual([]);
    } finally {
      await other.stop();
    }
  });

  it("gets a hundred hostile texts as data: the same questions to the same place, and nothing comes of them", async () => {
    expect(injections).toHaveLength(100);
    const plainSystem =
      (await run([greatFeature()], { explainer: endpoint() })) && asked("explanation")[0]?.body.messages[0];
    for (const text of injections) {
      server.seen.length = 0;
      const outcome = await endpoint().explain(greatFeature("L4/F1", [text]));
      expect(outcome.kind).toBe("answer");
      const [chat, ...more] = server.seen;
      expect(more).toEqual([]);
      expect(chat?.body.messages).toHaveLength(2);
      expect(chat?.body.messages[0]).toEqual(plainSystem);
      expect(chat?.body).not.toHaveProperty("tools");
      const question = JSON.parse(chat?.body.messages[1]?.content ?? "");
      expect(question.examples_without_activation.at(-1)).toEqual({ text: inert(text) });
      expect(chat?.raw).not.toContain(canary);
    }
  });

  it("may answer with a hundred hostile texts: they are kept as one plain line, and shown as nothing else", async () => {
    for (const text of injections) {
      server.answer = ({ name }) => (name === "explanation" ? JSON.stringify({ explanation: text }) : undefined);
      answers.clear();
      server.seen.length = 0;
      const { explained } = await run([greatFeature()], { explainer: endpoint() });
      const kept = explained[0]?.explanation.text ?? "";
      expect([...kept].length).toBeLessThanOrEqual(300);
      expect(kept).not.toMatch(/[\n\p{Cc}\p{Cf}\u2028\u2029]/u);
      expect(visible(kept)).toBe(kept);
      expect(showCell(kept)).not.toMatch(/(^|[^\\])([`*<>[\]|#!]|:\/\/)|\bwww\./);
      expect(server.seen.every(({ path }) => path === "/v1/chat/completions")).toBe(true);
    }
  });

  it("has its cost shown beforehand", async () => {
    const estimate = estimateCost([greatFeature()]);
    await run([greatFeature()], { explainer: endpoint() });
    // No control without another feature: 8 of the detections.
    expect(estimate.requests).toBe(server.seen.length + 8);
    const characters = server.seen.reduce(
      (sum, { body }) => sum + body.messages.reduce((n, { content }) => n + content.length, 0),
      0,
    );
    expect(estimate.inputTokens).toBeGreaterThan(characters / 4);
    expect(estimate.inputTokens).toBeLessThan((2 * characters) / 4);
  });
});

describe("addresses and waits", () => {
  it.each(["ftp://x", "not a url", "http://user:pw@localhost/v1", "https://x.example/v1?key=1"])(
    "refuses %s",
    (baseUrl) => {
      expect(() => checkAddress({ baseUrl, apiKey: "" })).toThrow(/is no endpoint/);
    },
  );

  it("sends a key only encrypted, or to this machine", () => {
    expect(() => checkAddress({ baseUrl: "http://10.0.0.5:8000/v1", apiKey: "k" })).toThrow(/not encrypted/);
    expect(checkAddress({ baseUrl: "http://10.0.0.5:8000/v1", apiKey: "" })).toBe("http://10.0.0.5:8000");
    expect(checkAddress({ baseUrl: "http://localhost:11434/v1", apiKey: "k" })).toBe("http://localhost:11434");
  });

  it.each([
    [{ "retry-after": "3" }, 3000],
    [{ "retry-after-ms": "250", "retry-after": "3" }, 250],
    [{ "retry-after": new Date(5000).toUTCString() }, 4000],
    [{ "retry-after": "soon" }, null],
    [{}, null],
  ])("reads %j", (headers, ms) => {
    expect(retryAfterOf(new Headers(headers as Record<string, string>), 1000)).toBe(ms);
  });
});
