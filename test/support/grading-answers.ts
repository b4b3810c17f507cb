/** Answers as a language model would give them that grades a text by its number of the word BAD: 1 without, 5 with four. */
import type { SeenChat } from "./fake-openai.ts";

export function gradeOf(text: string): number {
  return Math.min(5, 1 + (text.match(/BAD/g)?.length ?? 0));
}

/** A text of the grade, of so many words. */
export function textOfGrade(grade: number, words: number): string {
  return Array.from({ length: Math.max(words, grade - 1) }, (_, at) => (at < grade - 1 ? "BAD" : "good")).join(" ");
}

/** Content of the answer to a question of `lfp pairs grade`. */
export function gradingAnswer({ name, body }: Pick<SeenChat, "name" | "body">): string {
  const asked = JSON.parse(body.messages[1]?.content ?? "{}");
  if (name === "grades") {
    const grades = asked.answers.map((text: string) => ({ grade: gradeOf(text), why: "by its words" }));
    return JSON.stringify({ grades });
  }
  if (name === "rewritten") return JSON.stringify({ text: textOfGrade(asked.wanted_grade, asked.words) });
  return JSON.stringify({ text: textOfGrade(1, asked.words) });
}
