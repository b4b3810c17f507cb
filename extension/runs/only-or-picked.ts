/** Finds out which of several runs, sweeps or folders a command means. */
import * as vscode from "vscode";

/** The only one of those that fit, else the one that the person picks; undefined if there is none, or none is picked. */
export async function onlyOrPicked<T>(
  fitting: readonly T[],
  itemOf: (one: T) => vscode.QuickPickItem,
  question: string,
): Promise<T | undefined> {
  if (fitting.length <= 1) return fitting[0];
  const items = fitting.map((one) => ({ ...itemOf(one), one }));
  return (await vscode.window.showQuickPick(items, { placeHolder: question }))?.one;
}
