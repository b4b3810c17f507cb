/** What people chose to look through. It is remembered with the workspace, and told to a server that comes back. */
import type * as vscode from "vscode";
import { ChooseRun, ComparePair, LensTarget } from "../server/protocol/lens-state.ts";
import type { Extension } from "./context.ts";
import { messageOf } from "./server-failure.ts";

const KEY = "lfpLens.lookedThrough";
/** Where versions before two checkpoints could be compared kept the run's folder. */
const RUN_KEY = "lfpLens.chosenRun";

/** Remembers a choice; null: the choice is the server's. */
export async function rememberTarget({ vscode: context }: Extension, target: LensTarget | null): Promise<void> {
  await context.workspaceState.update(RUN_KEY, undefined);
  await context.workspaceState.update(KEY, target ?? undefined);
}

/** Tells every server that starts of what was chosen before. */
export function retellTarget(extension: Extension): vscode.Disposable {
  return extension.server.onDidChangeState(({ kind }) => {
    const target = remembered(extension);
    if (kind !== "running" || target === undefined) return;
    const told =
      target.kind === "run"
        ? extension.server.request(ChooseRun, { runFolder: target.folder })
        : extension.server.request(ComparePair, { tuned: target.tuned, base: target.base, open: false });
    told.catch((error: unknown) =>
      extension.log.warn(`What was looked through before cannot be now: ${messageOf(error)}`),
    );
  });
}

function remembered({ vscode: context }: Extension): LensTarget | undefined {
  const folder = context.workspaceState.get<unknown>(RUN_KEY);
  if (typeof folder === "string") return { kind: "run", folder };
  return LensTarget.safeParse(context.workspaceState.get<unknown>(KEY)).data;
}
