import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as z from "zod";
import { FeaturePage, FeaturesPage } from "./feature-pages.ts";
import { answering, ask, maxMessageLength } from "./pages.ts";
import { CurvesPage, ReportPage } from "./run-pages.ts";

const page = {
  asks: {
    double: ask(z.strictObject({ value: z.number() }), z.number()),
    fail: ask(z.strictObject({}), z.object({})),
  },
};
const seen: unknown[] = [];
const answer = answering(page, {
  double: async ({ value }) => {
    seen.push(value);
    return 2 * value;
  },
  fail: async () => Promise.reject(new Error("out of luck")),
});

describe("what a page may say", () => {
  it("a listed question is answered under its number; a failure becomes its message", async () => {
    expect(await answer({ ask: "double", id: 7, params: { value: 4 } })).toEqual({ kind: "answer", id: 7, result: 8 });
    expect(await answer({ ask: "fail", id: 8, params: {} })).toEqual({
      kind: "refusal",
      id: 8,
      message: "out of luck",
    });
  });

  it.each([
    ["nothing", undefined],
    ["text", "double"],
    ["an unlisted question", { ask: "shutdown", id: 1, params: {} }],
    ["a name of every object", { ask: "constructor", id: 1, params: {} }],
    ["the prototype's name", { ask: "__proto__", id: 1, params: {} }],
    ["no number", { ask: "double", params: { value: 1 } }],
    ["a negative number", { ask: "double", id: -1, params: { value: 1 } }],
    ["a field too many", { ask: "double", id: 1, params: { value: 1 }, command: "workbench.action.quit" }],
    ["a parameter too many", { ask: "double", id: 1, params: { value: 1, path: "/etc/passwd" } }],
    ["a wrong parameter", { ask: "double", id: 1, params: { value: "1" } }],
    ["not a number", { ask: "double", id: 1, params: { value: Number.NaN } }],
  ])("%s is dropped", async (_, message) => {
    const before = seen.length;
    expect(await answer(message)).toHaveProperty("refused");
    expect(seen).toHaveLength(before);
  });

  it("what is too long or goes round in circles is dropped unread", async () => {
    const long = { ask: "double", id: 1, params: { value: 1, text: "x".repeat(maxMessageLength) } };
    expect(await answer(long)).toEqual({ refused: `longer than ${maxMessageLength} characters` });
    const round: Record<string, unknown> = { ask: "double", id: 1 };
    round["params"] = round;
    expect(await answer(round)).toHaveProperty("refused");
    expect(await answer({ ask: "double", id: 1n })).toHaveProperty("refused");
  });

  it("no message whatever makes the host throw", async () => {
    await fc.assert(
      fc.asyncProperty(fc.anything({ withBigInt: true, withMap: true, withNullPrototype: true }), async (message) => {
        expect(Object.keys(await answer(message))).not.toEqual([]);
      }),
    );
  });
});

describe("the pages' own questions", () => {
  const hostileIds = [
    "../L4/F43",
    "L4/F43/../../x",
    "L4/F43\n",
    "/etc/passwd",
    "file:///x",
    "L4/F43?x",
    "command:x",
    "",
  ];

  it.each(hostileIds)("%j names no feature", (id) => {
    expect(FeaturePage.asks.openFeature.params.safeParse({ id }).success).toBe(false);
    expect(FeaturePage.asks.annotate.params.safeParse({ id, pinned: true }).success).toBe(false);
  });

  it("features are named as the store names them", () => {
    for (const id of ["L4/F43", "L12/F5@big", "base:L0/F1"])
      expect(FeaturePage.asks.openFeature.params.safeParse({ id }).success).toBe(true);
  });

  it.each([...hostileIds, "a/b", "A", "..", "x".repeat(65)])("%j names no figure", (figure) => {
    expect(ReportPage.asks.save.params.safeParse({ format: "svg", figure, text: "<svg/>" }).success).toBe(false);
  });

  it("no question takes a path or a run: only the host knows them", () => {
    const words = [CurvesPage, ReportPage, FeaturesPage, FeaturePage].flatMap(({ asks }) =>
      Object.values(asks).map(({ params }) => JSON.stringify(z.toJSONSchema(params, { io: "input" }))),
    );
    for (const schema of words) expect(schema).not.toMatch(/"(path|folder|runFolder|uri|url|command|file)"/i);
  });
});
