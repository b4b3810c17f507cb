import { loadStartMs } from "./load-start.ts";
import "./no-eval.ts";
import * as vscode from "vscode";
import { createAblationView } from "./ablation/view.ts";
import { ChatTools } from "./chat-tools.ts";
import { lookThrough } from "./choose-run.ts";
import { isChoosing, retellTarget } from "./chosen-target.ts";
import { offerRestart, registerCommands } from "./commands.ts";
import { Extension } from "./context.ts";
import { checkExperimentFiles } from "./experiment-files.ts";
import { FeaturesTree } from "./features/features-tree.ts";
import { MentionProviders } from "./features/mentions.ts";
import { createReadingView } from "./overlay/reading-view.ts";
import { createStatusBar } from "./overlay/status-bar.ts";
import { createTextNumbers } from "./overlay/text-numbers.ts";
import { tellReadable } from "./overlay/unread-document.ts";
import { createPairLenses } from "./pairs/pair-lenses.ts";
import { RunNews } from "./runs/run-news.ts";
import { runsRoots } from "./runs/runs-roots.ts";
import { isRunUnderWay } from "./runs/under-way.ts";
import { messageOf } from "./server-failure.ts";

const loadedMs = performance.now();

let extension: Extension | undefined;

/** Activates the extension; VS Code calls it once, when any part is first needed. */
export function activate(context: vscode.ExtensionContext): void {
  const startMs = performance.now();
  const created = new Extension(context);
  extension = created;
  registerCommands(created);
  created.own(createStatusBar(created));
  created.own(createReadingView(created));
  created.own(createAblationView(created));
  created.own(createPairLenses(created));
  created.own(createTextNumbers(created));
  created.own(tellReadable(created));
  created.own(retellTarget(created));
  created.own(
    new RunNews({
      runs: created.runs,
      get lens() {
        return created.lens;
      },
      onDidChangeLens: created.onDidChangeLens,
      isChoosing,
      lookThrough: async (folder) => await lookThrough(created, folder),
    }),
  );
  const tree = created.own(new FeaturesTree(created));
  const featuresView = created.own(vscode.window.createTreeView("lfpLens.features", { treeDataProvider: tree }));
  created.own(
    tree.onDidShowRun((name) => {
      featuresView.description = name ?? "";
    }),
  );
  created.own(new MentionProviders(created));
  created.own(checkExperimentFiles(created));
  created.own(new ChatTools(created));
  created.own(
    created.server.onDidChangeState(({ kind }) => {
      if (kind === "down") void offerRestart(created);
    }),
  );
  const endMs = performance.now();
  created.log.info(
    `Activated in ${(endMs - startMs).toFixed(0)} ms, loaded in ${(loadedMs - loadStartMs).toFixed(0)} ms.`,
  );
  void followRunsUnderWay(created);
}

/** Follows runs that are still active, for instance after a reload, although nobody opens their view. */
async function followRunsUnderWay({ runs, log }: Extension): Promise<void> {
  if (!vscode.workspace.isTrusted || !(await isRunUnderWay(runsRoots()))) return;
  await runs.model.all().catch((error: unknown) => log.warn(messageOf(error)));
}

/** Ends the server; VS Code awaits this before the window closes. */
export async function deactivate(): Promise<void> {
  await extension?.server.dispose();
}
