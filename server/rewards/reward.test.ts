import { expect, test } from "vitest";
import { InternalError } from "../common/errors.ts";
import { judgedText, plainReward, scoresOf } from "./reward.ts";
import { NoWordRatingsError } from "./word-ratings.ts";

const batch = [
  { prompt: "a", completion: "bc" },
  { prompt: "", completion: "" },
];

test("a plain reward scores the completion, or the prompt and the completion as one text", async () => {
  const lengths = async (text: "completion" | "full") =>
    await scoresOf(
      plainReward("length", text, ({ length }) => length),
      batch,
    );
  expect(await lengths("completion")).toEqual(Float64Array.of(2, 0));
  expect(await lengths("full")).toEqual(Float64Array.of(3, 0));
  expect(batch.map((one) => judgedText(one, "full"))).toEqual(["abc", ""]);
});

test("a reward that gives more or fewer numbers than it was asked for is found at once", async () => {
  const short = { ...plainReward("short", "full", () => 1), score: async () => Float64Array.of(1) };
  await expect(scoresOf(short, batch)).rejects.toThrow(InternalError);
  await expect(scoresOf(short, batch)).rejects.toThrow(/reward "short" gave 1 numbers for 2 completions/);
});

test("what needs ratings says what was got, what is needed and what to do", () => {
  expect(new NoWordRatingsError("letters", "stage calibrate")).toMatchObject({
    code: "input",
    message: expect.stringMatching(/^stage calibrate needs ratings of words, .*"letters" rates none.*such as vader/),
  });
});
