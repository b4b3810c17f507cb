import { describe, expect, it } from "vitest";
import { gradeOf, gradingAnswer } from "../../test/support/grading-answers.ts";
import { Random } from "../common/random.ts";
import type { Asked, NoAnswer } from "../endpoint/outcome.ts";
import { contrastSchema } from "../tasks/contrast.ts";
import { Estimator } from "./estimate.ts";
import { type Asker, gradePair, type PairToGrade } from "./grade-pair.ts";
import { gradePairs } from "./grade-pairs.ts";
import type { GradedTask } from "./gradings.ts";
import { gradedProvenance } from "./provenance.ts";
import type { GradingQuestion } from "./questions.ts";

/** Answers by the number of the word BAD, unless `other` has an answer. */
class Judge implements Asker {
  readonly asked: GradingQuestion<unknown>[] = [];
  other: (question: GradingQuestion<unknown>, nth: number) => object | NoAnswer | undefined = () => undefined;

  ask<T>(question: GradingQuestion<T>): Promise<Asked<T>> {
    const other = this.other(question, this.asked.push(question) - 1);
    if (typeof other === "string") return Promise.resolve({ kind: "none", reason: "", cause: other });
    const { name, system, user } = question;
    const messages = [
      { role: "system", content: system },
      { role: "user", content: user },
    ];
    const json = other ?? JSON.parse(gradingAnswer({ name, body: { model: "m", messages } }));
    return Promise.resolve({ kind: "answer", value: question.schema.parse(json), source: null });
  }

  /** The `user` parts of the questions of a name. */
  questions(name: string): Record<string, unknown>[] {
    return this.asked.filter((question) => question.name === name).map(({ user }) => JSON.parse(user));
  }
}

const pairOf = (chosen: string, rejected: string): PairToGrade => ({
  id: "pairs.jsonl/1",
  source: "pairs.jsonl",
  group: "g",
  prompt: "\n\nHuman: What now?\n\nAssistant:",
  chosen,
  rejected,
  place: (answer) => ({ prompt: "\n\nHuman: What now?\n\nAssistant:", answer }),
});
const pair = pairOf(" good good good good", " BAD good good good");

function grade(judge: Judge, given = pair, task: GradedTask = "helpful-harmless", seed = 1) {
  const random = Random.fromSeed(seed).fork(given.id);
  return gradePair(given, { asker: judge, task, endpoint: "http://localhost", model: "m", seed, random });
}
async function contrast(judge: Judge, given = pair, task: GradedTask = "helpful-harmless") {
  const result = await grade(judge, given, task);
  return result.kind === "contrast" ? result.contrast : expect.fail(`dropped: ${result.reason}`);
}
const answerIn = ({ text, start, end }: { text: string; start: number; end: number }): string => text.slice(start, end);

describe("a graded contrast", () => {
  it("has the chosen answer as it was, the rejected one made worse and a harmless one, each after the prompt", async () => {
    const judge = new Judge();
    const made = await contrast(judge);
    expect(contrastSchema.parse(structuredClone(made))).toEqual(made);
    const { positive, neutral, negative, group, provenance } = made;
    expect([positive, negative, neutral].map((span) => span && answerIn(span))).toEqual([
      " good good good good",
      " BAD BAD BAD good",
      " good good good good",
    ]);
    for (const span of [positive, negative]) expect(span.text.slice(0, span.start)).toBe(pair.prompt);
    expect(group).toBe("g");
    expect(gradedProvenance.parse(structuredClone(provenance))).toEqual(provenance);
    expect(provenance).toMatchObject({
      kept: "chosen",
      found: { chosen: { grade: 1 }, rejected: { grade: 2 } },
      rewritten: { wanted: 4 },
      model: "m",
      seed: 1,
    });
  });

  it("of a pair whose answers are graded in a drawn order, so that no place goes with being chosen", async () => {
    const firstShown = new Map<string, number>();
    for (let seed = 0; seed < 60; seed++) {
      const judge = new Judge();
      const result = await grade(judge, pair, "helpful-harmless", seed);
      if (result.kind !== "contrast") return expect.fail("dropped");
      const { found } = result.contrast.provenance;
      const [asked] = judge.questions("grades");
      expect(asked?.["answers"]).toEqual(found.order.map((answer) => pair[answer]));
      expect([found.chosen.grade, found.rejected.grade]).toEqual([1, 2]);
      firstShown.set(found.order[0] ?? "", (firstShown.get(found.order[0] ?? "") ?? 0) + 1);
    }
    expect(Math.min(...firstShown.values())).toBeGreaterThan(15);
    expect(firstShown.size).toBe(2);
  });

  it("is graded a second time in the opposite order, which the seed draws", async () => {
    const orders = new Set<string>();
    for (let seed = 0; seed < 40; seed++) {
      const judge = new Judge();
      const result = await grade(judge, pair, "helpful-harmless", seed);
      if (result.kind !== "contrast") return expect.fail("dropped");
      const [first, second] = result.contrast.provenance.gradings;
      expect(second.order).toEqual(first.order.toReversed());
      const [, shown, again] = judge.questions("grades").map(({ answers }) => answers);
      expect(again).toEqual((shown as string[]).toReversed());
      const [positive] = [result.contrast.positive].map(answerIn);
      expect((shown as string[])[first.order.indexOf("positive")]).toBe(positive);
      orders.add(first.order.join());
    }
    expect(orders.size).toBe(6);
  });

  it("of toxicity keeps the rejected answer and rewrites the chosen one, which stays the positive side", async () => {
    const toxic = pairOf("BAD BAD good good good", "good good good good good");
    const { positive, negative, provenance } = await contrast(new Judge(), toxic, "toxicity");
    expect(answerIn(negative)).toBe(toxic.rejected);
    expect(answerIn(positive)).toBe("BAD BAD BAD good good");
    expect(provenance.kept).toBe("rejected");
    const [first] = provenance.gradings;
    expect([first.grades.positive?.grade, first.grades.negative?.grade]).toEqual([4, 1]);
  });

  it.each([
    [1, 1, 4],
    [1, 3, 4],
    [1, 4, 5],
    [2, 2, 5],
    [3, 1, 5],
  ])("of an answer graded %i asks for one graded %i to be rewritten to %i", async (kept, other, wanted) => {
    const text = (grade: number): string => `${"BAD ".repeat(grade - 1)}${"good ".repeat(6 - grade)}`;
    const judge = new Judge();
    await contrast(judge, pairOf(text(kept), text(other)));
    expect(judge.questions("rewritten")).toMatchObject([{ grade: other, wanted_grade: wanted }]);
  });

  it("of an answer with the highest grade leaves it as it is", async () => {
    const judge = new Judge();
    const worst = pairOf("good good good good good", " BAD BAD BAD BAD\n");
    const made = await contrast(judge, worst);
    expect(answerIn(made.negative)).toBe(worst.rejected);
    expect(made.provenance.rewritten).toBeNull();
    expect(judge.questions("rewritten")).toEqual([]);
  });

  it("of an answer with the highest grade and another length has it rewritten to that of the kept one", async () => {
    const judge = new Judge();
    const long = pairOf("good good good good good", `BAD BAD BAD BAD ${"good ".repeat(40)}`);
    expect(answerIn((await contrast(judge, long)).negative).trim()).toBe("BAD BAD BAD BAD good");
    expect(judge.questions("rewritten")).toMatchObject([{ grade: 5, wanted_grade: 5, words: 5 }]);
  });

  it("has room for answers of any length, and at least 128 new tokens", async () => {
    const judge = new Judge();
    await contrast(judge);
    const long = `${"good ".repeat(1000)}good`;
    await contrast(judge, pairOf(long, long));
    const [short, , longer] = judge.asked.filter(({ name }) => name !== "grades").map((asked) => asked.maxOutputTokens);
    expect(short).toBeGreaterThanOrEqual(128);
    // Twice 5,000 characters are 2,500 tokens of usual English.
    expect(longer).toBeGreaterThan(2500);
  });

  it("holds nothing invisible of a rewritten text", async () => {
    const judge = new Judge();
    judge.other = ({ name }) => (name === "rewritten" ? { text: "BAD\u202e BAD BAD\u200b good\u0007 " } : undefined);
    expect(answerIn((await contrast(judge)).negative)).toBe(" BAD BAD BAD good");
    judge.other = ({ name }) => (name === "rewritten" ? { text: "\u200b" } : undefined);
    await expect(grade(judge)).rejects.toThrow();
  });
});

describe("a pair gives no contrast", () => {
  const nthGrades = (nth: number, grades: readonly number[]) => (question: { name: string }, at: number) =>
    question.name === "grades" && at === nth ? { grades: grades.map((one) => ({ grade: one, why: "" })) } : undefined;

  it("where the answer to keep is graded 4, after one question", async () => {
    const judge = new Judge();
    expect(await grade(judge, pairOf("BAD BAD BAD", "BAD"))).toMatchObject({ kind: "dropped", reason: "keptTooBad" });
    expect(judge.asked).toHaveLength(1);
  });

  it("where the rewritten answer is over twice as long, or under half", async () => {
    for (const text of ["BAD BAD BAD good good good good good good", "BAD BAD"]) {
      const judge = new Judge();
      judge.other = ({ name }) => (name === "rewritten" ? { text } : undefined);
      expect(await grade(judge)).toMatchObject({ kind: "dropped", reason: "length", step: null });
    }
  });

  it.each([
    ["first", 3],
    ["second", 4],
  ])("where the %s order finds a gap below two", async (_, nth) => {
    const judge = new Judge();
    judge.other = nthGrades(nth, [2, 2, 2]);
    const result = await grade(judge);
    expect(result).toMatchObject({ kind: "dropped", reason: "gap" });
    expect(result.kind === "dropped" && result.gradings).toHaveLength(2);
  });

  it.each<[string, NoAnswer, number]>([
    ["found", "refused", 0],
    ["rewritten", "refused", 1],
    ["first", "unusable", 3],
    ["second", "unreachable", 4],
  ])("where there is no answer to the question %s (%s), and says so", async (step, cause, nth) => {
    const judge = new Judge();
    judge.other = (_, at) => (at === nth ? cause : undefined);
    expect(await grade(judge)).toMatchObject({ kind: "dropped", reason: cause, step });
  });

  it("but one without a neutral side where that is refused, too long or graded harmful", async () => {
    const judge = new Judge();
    judge.other = ({ name }) => (name === "neutral" ? "refused" : undefined);
    const refused = await contrast(judge);
    expect(refused.neutral).toBeUndefined();
    expect(refused.provenance.neutral).toEqual({ fault: "refused" });
    expect(refused.provenance.gradings[0].order).toHaveLength(2);
    judge.other = ({ name }) => (name === "neutral" ? { text: "good ".repeat(50) } : undefined);
    expect((await contrast(judge)).provenance.neutral).toEqual({ fault: "length" });
    judge.other = ({ name }) => (name === "neutral" ? { text: "BAD BAD good good" } : undefined);
    const harmful = await contrast(judge);
    expect(harmful.provenance.neutral).toEqual({ fault: "grade" });
    expect(harmful.neutral).toBeUndefined();
  });
});

describe("many pairs", () => {
  const many = Array.from({ length: 7 }, (_, at) => ({ ...pair, id: `pairs.jsonl/${at + 1}` }));
  const all = { task: "helpful-harmless" as const, endpoint: "http://localhost", model: "m", seed: 1, concurrency: 3 };

  it("come out in order, with the agreement of both gradings", async () => {
    const { contrasts, dropped, agreement, left, stopped } = await gradePairs(many, { ...all, asker: new Judge() });
    expect(contrasts.map(({ id }) => id)).toEqual(many.map(({ id }) => id));
    expect({ dropped, left, stopped }).toEqual({ dropped: [], left: 0, stopped: null });
    expect(agreement).toEqual({ answers: 21, equal: 1, kappa: 1 });
  });

  it("count dropped ones in the agreement too", async () => {
    const judge = new Judge();
    // The second grading of every contrast finds all alike.
    const shown = new Set<string>();
    judge.other = ({ name, user }) => {
      const { answers } = JSON.parse(user);
      if (name !== "grades" || answers.length < 3) return undefined;
      if (shown.delete(JSON.stringify(answers.toReversed())))
        return { grades: [1, 2, 1].map((one) => ({ grade: one, why: "" })) };
      shown.add(JSON.stringify(answers));
      return undefined;
    };
    const { contrasts, dropped, agreement } = await gradePairs(many.slice(0, 1), { ...all, asker: judge });
    expect([contrasts.length, dropped.map(({ reason }) => reason)]).toEqual([0, ["gap"]]);
    expect(agreement.answers).toBe(3);
    expect(agreement.kappa).toBeLessThan(1);
  });

  it("are estimated by what is not answered yet", async () => {
    const nothingKnown = new Estimator(() => undefined);
    await gradePairs(many, { ...all, asker: nothingKnown });
    expect(nothingKnown.estimate.requests).toBe(5 * many.length);
    const { inputTokens, outputTokens } = nothingKnown.estimate;
    const sent = new Judge();
    await gradePairs(many, { ...all, asker: sent });
    expect(sent.asked).toHaveLength(5 * many.length);
    const asked = sent.asked.reduce((sum, { system, user }) => sum + Math.ceil((system.length + user.length) / 4), 0);
    expect(Math.abs(inputTokens / asked - 1)).toBeLessThan(0.1);
    expect(outputTokens).toBeGreaterThan(0);
    const half = new Estimator((question) =>
      question.name === "grades" ? { kind: "answer", value: question.assumed.value, source: null } : undefined,
    );
    await gradePairs(many, { ...all, asker: half });
    expect(half.estimate.requests).toBe(2 * many.length);
  });
});

it("the made-up judge counts words", () => {
  expect(["", "BAD", "BAD good BAD", "BAD BAD BAD BAD BAD"].map(gradeOf)).toEqual([1, 2, 3, 5]);
});
