import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { scratchFolder } from "../../../test/unit/runs/scratch.ts";
import { sha256Of } from "../../runs/files.ts";
import { QuarantinedError } from "../failures.ts";
import { Quarantine } from "../quarantine.ts";
import { RunBoard } from "../runs/run-board.ts";
import { Session } from "../session.ts";
import { LensSession } from "./lens-session.ts";

test("a run that has brought the server down twice is not opened for those who only borrow it either", async () => {
  const root = await scratchFolder();
  const folder = join(root, "runs", "fatal");
  await mkdir(folder, { recursive: true });
  await mkdir(join(root, "quarantine"));
  const key = sha256Of(["run", folder, ""].join("\0"));
  await writeFile(join(root, "quarantine", "crashes.json"), JSON.stringify([[key, 2]]));
  const quarantine = new Quarantine(join(root, "quarantine"));
  const onFailure = () => undefined;
  const board = new RunBoard(onFailure);
  const lenses = new LensSession({ session: new Session(), board, quarantine, onFailure, tell: () => undefined });
  const { signal } = new AbortController();
  await expect(lenses.borrow(folder, signal)).rejects.toThrow(QuarantinedError);
  await expect(lenses.guardRun(folder, async () => "opened")).rejects.toThrow(/has brought .* down 2 times/);
  expect(await lenses.guardRun(join(root, "runs", "other"), async () => "opened")).toBe("opened");
  quarantine.close();
  board.close();
});
