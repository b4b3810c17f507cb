/** A quick pick over all features; the server searches while one types. */
import * as vscode from "vscode";
import type { FeatureRow } from "../../server/protocol/features.ts";
import type { Extension } from "../context.ts";
import { messageOf } from "../server-failure.ts";
import { contributionText, foundIn, meaningOf } from "./feature-text.ts";
import type { FeaturePlace } from "./features-model.ts";

const shown = 50;
const typingMs = 120;

interface FeatureItem extends vscode.QuickPickItem {
  readonly row: FeatureRow;
}

/** Lets the person search for a feature; undefined if they choose none. */
export async function findFeature(
  extension: Extension,
  runFolder: string,
  title: string,
): Promise<FeaturePlace | undefined> {
  const pick = vscode.window.createQuickPick<FeatureItem>();
  pick.title = title;
  pick.placeholder = "Words of explanations, labels, notes and examples; F11, L4/F11, density<1%, contribution>0.5";
  let asked = 0;
  let timer: NodeJS.Timeout | undefined;
  const search = async (): Promise<void> => {
    asked += 1;
    const mine = asked;
    pick.busy = true;
    try {
      const { rows } = await extension.features.query(
        runFolder,
        { search: pick.value.slice(0, 500), sort: "match" },
        { offset: 0, count: shown },
      );
      // Discards the answer to an earlier query.
      if (mine === asked) pick.items = rows.map(itemOf);
    } catch (error) {
      extension.log.error(`Searching features: ${messageOf(error)}`);
    } finally {
      if (mine === asked) pick.busy = false;
    }
  };
  pick.onDidChangeValue(() => {
    clearTimeout(timer);
    timer = setTimeout(() => void search(), typingMs);
  });
  const chosen = new Promise<FeaturePlace | undefined>((resolve) => {
    pick.onDidAccept(() => {
      const [item] = pick.selectedItems;
      resolve(item === undefined ? undefined : { runFolder, id: item.row.id });
      pick.hide();
    });
    pick.onDidHide(() => resolve(undefined));
  });
  pick.show();
  void search();
  try {
    const place = await chosen;
    const { FeatureQuery } = await import("../../server/protocol/features.ts");
    const list = FeatureQuery.parse({ search: pick.value.slice(0, 500), sort: "match" });
    if (place !== undefined) extension.featureOrder.note(runFolder, list);
    return place;
  } finally {
    clearTimeout(timer);
    pick.dispose();
  }
}

function itemOf(row: FeatureRow): FeatureItem {
  // `alwaysShow`: VS Code must not filter the server's results again by the text of the row.
  const description = [contributionText(row), foundIn(row)].filter((part) => part !== "").join(" · ");
  return { label: row.id, description, detail: meaningOf(row), alwaysShow: true, row };
}
