/** The chosen lens target. The workspace state remembers it, and a server that starts again receives it. */
import type * as vscode from "vscode";
import { ChooseRun, CompareLearned, ComparePair, LensTarget } from "../server/protocol/lens-state.ts";
import type { Extension } from "./context.ts";
import { messageOf } from "./server-failure.ts";

const KEY = "lfpLens.lookedThrough";
/** State key of the run's folder in versions that could not yet compare two checkpoints. */
const RUN_KEY = "lfpLens.chosenRun";

let choices = 0;

/** Whether a person's choice is being carried out: what the lens moves to meanwhile needs no word. */
export function isChoosing(): boolean {
  return choices > 0;
}

/** Carries out a person's choice of a target. */
export async function choosing<T>(choose: () => Promise<T>): Promise<T> {
  choices += 1;
  try {
    return await choose();
  } finally {
    choices -= 1;
  }
}

/** Remembers a choice; null: the server chooses. */
export async function rememberTarget({ vscode: context }: Extension, target: LensTarget | null): Promise<void> {
  await context.workspaceState.update(RUN_KEY, undefined);
  await context.workspaceState.update(KEY, target ?? undefined);
}

/** Sends the remembered choice to every server that starts. */
export function retellTarget(extension: Extension): vscode.Disposable {
  return extension.server.onDidChangeState(({ kind }) => {
    const target = remembered(extension);
    if (kind !== "running" || target === undefined) return;
    const sent = choosing(() => askFor(extension, target));
    sent.catch((error: unknown) =>
      extension.log.warn(`What was looked through before cannot be now: ${messageOf(error)}`),
    );
  });
}

/** Remembers a choice of a target and tells the server; null: the server chooses. Nothing is opened yet. */
export async function chooseTarget(extension: Extension, target: LensTarget | null): Promise<void> {
  await rememberTarget(extension, target);
  await choosing(() => askFor(extension, target));
}

/** Tells the server a target; null: the server chooses. */
async function askFor({ server }: Extension, target: LensTarget | null): Promise<void> {
  if (target === null || target.kind === "run") await server.request(ChooseRun, { runFolder: target?.folder ?? null });
  else if (target.kind === "pair")
    await server.request(ComparePair, { tuned: target.tuned, base: target.base, open: false });
  else await server.request(CompareLearned, { a: target.a, b: target.b, open: false });
}

/** The target that a person chose; undefined: the server chooses. */
export function remembered({ vscode: context }: Extension): LensTarget | undefined {
  const folder = context.workspaceState.get<unknown>(RUN_KEY);
  if (typeof folder === "string") return { kind: "run", folder };
  return LensTarget.safeParse(context.workspaceState.get<unknown>(KEY)).data;
}
