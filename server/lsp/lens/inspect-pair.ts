import { LfpError, messageOf } from "../../common/errors.ts";
import { parseJson } from "../../common/json.ts";
import { InspectPair } from "../../protocol/inspect-pair.ts";
import { targetOf } from "../../protocol/lens-state.ts";
import type { Dispatcher } from "../dispatch.ts";
import type { Quarantine } from "../quarantine.ts";
import { type LensSession, NoLensError } from "./lens-session.ts";

/** The record under the cursor is not JSON. */
export class RecordError extends LfpError {
  readonly code = "input";

  constructor(row: number, cause: unknown) {
    super(`Line ${row + 1} is no record of a .jsonl file: ${messageOf(cause)}. Put the cursor on one.`, { cause });
  }
}

/** Serves the tokens of preference pairs. Nothing of the text is logged. */
export function serveInspectPair(
  dispatcher: Dispatcher,
  { lenses, quarantine }: { readonly lenses: LensSession; readonly quarantine: Quarantine },
): void {
  dispatcher.request(InspectPair, async ({ record, data, row }) => {
    const value = parsed(record, row);
    const target = targetOf(lenses.state.kind === "none" ? await lenses.choose(null) : lenses.state);
    if (target === undefined)
      throw new NoLensError(
        "There is no finished run whose tokenizer could be used. Choose one, or compare two checkpoints.",
      );
    const parts = ["pair tokens", JSON.stringify(target), record];
    const markdown = await quarantine.guard("This record", parts, async () => {
      const { inspectRecord } = await import("../../pipeline/finished/inspect-record.ts");
      return await inspectRecord({ value, data, row }, target);
    });
    return { markdown };
  });
}

function parsed(record: string, row: number): unknown {
  try {
    return parseJson(record);
  } catch (cause) {
    throw new RecordError(row, cause);
  }
}
