import * as vscode from "vscode";

/** Shows a list of places; going through it shows each, and leaving it goes back. */
export function pickPlaces<T extends vscode.QuickPickItem & { readonly range: vscode.Range }>(
  editor: vscode.TextEditor,
  pick: vscode.QuickPick<T>,
): void {
  const before = editor.selection;
  let isAccepted = false;
  pick.onDidChangeActive(([item]) => {
    if (item !== undefined) select(editor, item.range);
  });
  pick.onDidAccept(() => {
    isAccepted = true;
    pick.hide();
  });
  pick.onDidHide(() => {
    if (!isAccepted) editor.selection = before;
    pick.dispose();
  });
  pick.show();
}

/** Selects a range and brings it into sight. */
export function select(editor: vscode.TextEditor, range: vscode.Range): void {
  editor.selection = new vscode.Selection(range.start, range.end);
  editor.revealRange(range, vscode.TextEditorRevealType.InCenterIfOutsideViewport);
}
