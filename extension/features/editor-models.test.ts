import { describe, expect, it } from "vitest";
import type { CancellationToken, LanguageModelChat } from "vscode";
import { LanguageModelError } from "../../test/support/vscode-stub.ts";
import { EditorModels } from "./editor-models.ts";

const token = {} as CancellationToken;
const messages = [
  { role: "user", content: "what is it?" },
  { role: "assistant", content: "hm" },
] as const;

/** A model that answers with parts, or fails. */
function modelOf(answer: readonly string[] | Error, seen: unknown[] = []): LanguageModelChat {
  const sendRequest = async (...asked: unknown[]) => {
    seen.push(asked);
    if (answer instanceof Error) throw answer;
    return {
      text: (async function* () {
        yield* answer;
      })(),
    };
  };
  return { sendRequest } as unknown as LanguageModelChat;
}

describe("a question of the server", () => {
  it("is answered by the model of its job, with the roles that VS Code knows and a reason for its consent", async () => {
    const models = new EditorModels();
    const seen: unknown[][] = [];
    const model = modelOf(['{"a', '":1}'], seen);
    const answered = await models.during("j", model, () => models.complete({ job: "j", messages }, token));
    expect(answered).toEqual({ kind: "answer", text: '{"a":1}' });
    expect(seen).toEqual([
      [messages.map(({ ...message }) => message), { justification: expect.stringContaining("LFP Lens") }, token],
    ]);
  });

  it("is refused for any job that no person started, or that has ended", async () => {
    const models = new EditorModels();
    await models.during("j", modelOf(["x"]), async () => undefined);
    for (const job of ["j", "other"])
      expect(await models.complete({ job, messages }, token)).toMatchObject({ kind: "refused", isFinal: true });
  });

  it.each([
    [LanguageModelError.NoPermissions("declined"), true],
    [LanguageModelError.Blocked("quota"), true],
    [LanguageModelError.NotFound("gone"), true],
    [new LanguageModelError("Unknown", "hiccup"), false],
    [new Error("socket"), false],
  ])("that fails with %s says why, and whether others would too", async (error, isFinal) => {
    const models = new EditorModels();
    const answered = await models.during("j", modelOf(error), () => models.complete({ job: "j", messages }, token));
    expect(answered).toEqual({ kind: "refused", reason: error.message, isFinal });
  });

  it("has no endless answer", async () => {
    const models = new EditorModels();
    const long = modelOf(Array.from({ length: 200 }, () => "x".repeat(1000)));
    const answered = await models.during("j", long, () => models.complete({ job: "j", messages }, token));
    expect(answered).toMatchObject({ kind: "refused", isFinal: false });
  });
});
