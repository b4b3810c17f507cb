import { PassThrough } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import {
  createConnection,
  createProtocolConnection,
  StreamMessageReader,
  StreamMessageWriter,
} from "vscode-languageserver/node";
import * as z from "zod";
import { defineRequest } from "../protocol/message.ts";
import { Dispatcher } from "./dispatch.ts";

const Borrow = defineRequest("lfp/borrow", z.object({ name: z.string() }), z.object({}));

/** A dispatcher whose one question borrows something that is given back only when the test lets it. */
function startDispatcher() {
  const [toServer, toClient] = [new PassThrough(), new PassThrough()];
  const connection = createConnection(new StreamMessageReader(toServer), new StreamMessageWriter(toClient));
  const log = { info: () => undefined, error: () => undefined };
  const dispatcher = new Dispatcher(connection, log);
  const givenBack = Promise.withResolvers<void>();
  const borrowed = Promise.withResolvers<void>();
  const seen: string[] = [];
  dispatcher.request(Borrow, async ({ name }, { signal }) => {
    borrowed.resolve();
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    seen.push(`${name} was told to stop`);
    await givenBack.promise;
    seen.push(`${name} was given back`);
    return {};
  });
  connection.listen();
  const client = createProtocolConnection(new StreamMessageReader(toClient), new StreamMessageWriter(toServer));
  client.listen();
  const ask = (name: string): Promise<unknown> => client.sendRequest(Borrow.method, { name }).catch(({ data }) => data);
  return { dispatcher, ask, borrowed: borrowed.promise, giveBack: () => givenBack.resolve(), seen };
}

test("closing takes back what is asked, and waits until everything that was borrowed for it is given back", async () => {
  const { dispatcher, ask, borrowed, giveBack, seen } = startDispatcher();
  const answer = ask("lens");
  await borrowed;
  const closed = dispatcher.close().then(() => seen.push("closed"));
  // The asker is answered at once, though the work has not ended.
  expect(await answer).toMatchObject({ code: "cancelled" });
  await turn();
  expect(seen).toEqual(["lens was told to stop"]);
  giveBack();
  await closed;
  expect(seen).toEqual(["lens was told to stop", "lens was given back", "closed"]);
});

test("what is asked after the end is not begun", async () => {
  const { dispatcher, ask, seen } = startDispatcher();
  await dispatcher.close();
  expect(await ask("lens")).toMatchObject({ code: "cancelled" });
  expect(seen).toEqual([]);
});
