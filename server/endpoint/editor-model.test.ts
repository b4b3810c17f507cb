import { describe, expect, it } from "vitest";
import { nameBy, type SeenChat, sensibleAnswer } from "../../test/support/fake-openai.ts";
import { greatFeature } from "../../test/support/great-feature.ts";
import { modelExplainer } from "../explain/endpoint-explainer.ts";
import { explainFeatures } from "../explain/explain-features.ts";
import type { AnswerCache } from "./chat.ts";
import { type Completion, EditorModel, type ModelMessage } from "./editor-model.ts";

const answers = new Map<string, ReturnType<AnswerCache["get"]>>();
const cache: AnswerCache = { get: (key) => answers.get(key), set: (key, answer) => void answers.set(key, answer) };

/** As a model that sees that the feature is about "great" would answer; it gets all in one message. */
function sensible([first]: readonly ModelMessage[]): string {
  const question = first?.content.split("\n\n").at(-1) ?? "";
  const body = {
    model: "m",
    messages: [
      { role: "system", content: "" },
      { role: "user", content: question },
    ],
  };
  return sensibleAnswer({ body, name: nameBy(body) } as unknown as SeenChat);
}

async function explained(complete: (messages: readonly ModelMessage[]) => Completion, name = "made/model-1") {
  answers.clear();
  const seen: (readonly ModelMessage[])[] = [];
  const model = new EditorModel({
    name,
    cache,
    complete: async (messages) => {
      seen.push(structuredClone(messages));
      return complete(messages);
    },
  });
  const explainer = modelExplainer(name, model);
  const options = { explainer, task: "sentiment", seed: 1, concurrency: 1 };
  return { seen, result: await explainFeatures([greatFeature(), greatFeature("L4/F2")], options) };
}

const answer = (text: string): Completion => ({ kind: "answer", text });

describe("a language model of the editor", () => {
  it("explains, judges and is scored as a service is, from one message with the shape in words", async () => {
    const { seen, result } = await explained((messages) => answer(sensible(messages)));
    expect(result.failed).toEqual([]);
    for (const { explanation, scores, relevance, explainer } of result.explained) {
      expect(explainer).toBe("made/model-1");
      expect(explanation.text).toBe('the word "great"');
      expect(scores.map(({ value }) => value)).toEqual([1, 1]);
      expect(relevance).toMatchObject({ relevant: true, polarity: "positive" });
    }
    expect(new Set(seen.map((messages) => messages.map(({ role }) => role).join()))).toEqual(new Set(["user"]));
    expect(seen[0]?.[0]?.content).toContain("Answer with one JSON object of this schema and nothing else: {");
  });

  it("is asked nothing twice", async () => {
    const { seen } = await explained((messages) => answer(sensible(messages)));
    const contents = seen.map((messages) => messages[0]?.content);
    expect(new Set(contents).size).toBe(contents.length);
  });

  it("has one chance to mend an answer of another shape", async () => {
    const { seen, result } = await explained((messages) =>
      answer(messages.length === 1 ? "I think it is praise." : sensible(messages)),
    );
    expect(result.failed).toEqual([]);
    expect(seen[1]?.map(({ role }) => role)).toEqual(["user", "assistant", "user"]);
    expect(seen[1]?.[2]?.content).toContain("no JSON could be found");
    const never = await explained(() => answer("no"));
    expect(never.result.explained).toEqual([]);
    expect(never.result.failed.map(({ reason }) => reason)).toEqual(Array(2).fill("no JSON could be found in it"));
  });

  it("that the editor does not let be asked ends the job with the reason", async () => {
    const refused = explained(() => ({ kind: "refused", reason: "consent\nwas declined", isFinal: true }));
    await expect(refused).rejects.toThrow("made/model-1 gives no answers: consent was declined");
  });

  it("that fails now and then loses those answers, and ends the job after five in a row", async () => {
    let asked = 0;
    const { result } = await explained((messages) => {
      asked += 1;
      return asked === 1 ? { kind: "refused", reason: "busy", isFinal: false } : answer(sensible(messages));
    });
    expect(result.explained).toHaveLength(1);
    expect(result.failed).toEqual([{ id: "L4/F1", reason: "busy" }]);
    let left = 1;
    const always = explained((messages) =>
      left-- > 0 ? answer(sensible(messages)) : { kind: "refused", reason: "busy", isFinal: false },
    );
    await expect(always).rejects.toThrow("left 5 questions in a row without an answer: busy");
  });
});
