/** Runs long requests, which cost time or money, under a notification with a cancel button. */
import * as vscode from "vscode";
import type { Extension } from "../context.ts";
import { isObsolete } from "../server-failure.ts";

/**
 * Runs a request under a notification with its progress; cancelling the notification cancels the token. Returns `run`'s
 * result; undefined if the person cancelled it, which is no error.
 */
export async function withJob<T>(
  { features }: Extension,
  job: string,
  title: string,
  run: (token: vscode.CancellationToken) => Promise<T>,
): Promise<T | undefined> {
  const options = { location: vscode.ProgressLocation.Notification, title: `LFP Lens: ${title}`, cancellable: true };
  return await vscode.window.withProgress(options, async (progress, token) => {
    let shown = 0;
    const listening = features.onProgress(({ job: which, done, total, message }) => {
      if (which !== job) return;
      const share = total > 0 ? (100 * done) / total : 0;
      progress.report({ message, increment: Math.max(0, share - shown) });
      shown = Math.max(shown, share);
    });
    try {
      return await run(token);
    } catch (error) {
      if (token.isCancellationRequested && isObsolete(error)) return undefined;
      throw error;
    } finally {
      listening.dispose();
    }
  });
}
