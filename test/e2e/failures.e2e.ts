/** What a person sees when the server does what it must never do. It is not our server here, but one that can be told to. */
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { buildFakeServer, Session } from "./support/session.ts";
import type { Workbench } from "./support/workbench.ts";

const text =
  "I loved the first half: a great cast, a good script.\n\nThen it turns weak, and the ending is dreadful.\n";

describe.skipIf(!inject("ground").ready)("a server that fails", () => {
  let session: Session;
  let workbench: Workbench;
  const isColoured = (words: readonly { word: string }[]): boolean => words.some(({ word }) => word === "dreadful");

  beforeAll(async () => {
    session = await Session.start({ files: { "review.txt": text }, server: buildFakeServer });
    workbench = await session.open();
    await workbench.openFile("review.txt");
    await workbench.run("LFP Lens: Show Learned Reward");
    await workbench.coloured(isColoured);
  });
  afterAll(() => session.stop());

  it("by an answer without sense leaves the text plain and says so; the next answer is taken", async () => {
    await workbench.typeAtEnd(" NULL");
    await workbench.statusSays("not read");
    expect(await workbench.colouredWords()).toEqual([]);
    await workbench.deleteBack(" NULL");
    await workbench.coloured(isColoured);
    await workbench.statusSays("mean");
  });

  it("by standing still is ended and started again", async () => {
    await workbench.typeAtEnd(" HANG");
    await workbench.statusSays("restarting");
    await workbench.deleteBack(" HANG");
    await workbench.coloured(isColoured);
  });

  it("by ending again and again stays down, visibly, until it is restarted", async () => {
    await workbench.typeAtEnd(" CRASH");
    await workbench.statusSays("LFP Lens stopped");
    expect(await workbench.colouredWords()).toEqual([]);
    await workbench.screenshot("server-stopped");
    await workbench.deleteBack(" CRASH");
    await workbench.notifications.getByText("Restart", { exact: true }).click();
    await workbench.coloured(isColoured);
    await workbench.statusSays("mean");
  });
});
