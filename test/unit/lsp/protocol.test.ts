import { once } from "node:events";
import { afterEach, expect, test } from "vitest";
import { z } from "zod";
import { ListRuns, RunSeries } from "../../../server/protocol/runs.ts";
import { failureIn, LspClient, type LspClientOptions } from "../../support/lsp-client.ts";

const clients: LspClient[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) await client.stop();
});

async function start(options: LspClientOptions = {}): Promise<LspClient> {
  const client = await LspClient.start(options);
  clients.push(client);
  return client;
}

const logged = { method: "window/logMessage", params: z.object({ type: z.int(), message: z.string() }) };

test("says what it is and can, and ends with status 0 when it is asked to", async () => {
  const client = await start();
  expect(client.initialized).toMatchObject({
    serverInfo: { name: "LFP Lens", version: expect.stringMatching(/^\d/) },
    capabilities: { positionEncoding: "utf-16", textDocumentSync: { openClose: true, change: 2 } },
  });
  expect(await client.stop()).toBe(0);
});

test("ends when the editor closes the stream without a word", async () => {
  const client = await start();
  const exited = once(client.process, "exit");
  client.process.stdin.end();
  expect(await exited).toEqual([0, null]);
});

test("parameters that are not what the message declares are refused, naming them", async () => {
  const client = await start();
  const wrong = await client.connection
    .sendRequest(RunSeries.method, { folder: "/", offset: "7", maxLines: 1 })
    .catch(failureIn);
  expect(wrong).toEqual({ code: "usage", message: expect.stringContaining("offset") });
  const none = await client.connection.sendRequest(ListRuns.method, null).catch(failureIn);
  expect(none).toMatchObject({ code: "usage" });
});

test("bytes that are no message are passed over, and told", async () => {
  const client = await start();
  client.process.stdin.write(
    'Content-Length: 3\r\n\r\n{"aContent-Length: nine\r\n\r\n\0\0\0[]Content-Length: 2\r\n\r\n[]',
  );
  client.process.stdin.write(`${"x".repeat(20_000)}Content-Length: 4\r\nContent-Type: a; charset=b\r\n\r\nnull`);
  expect(await client.ask(ListRuns, {})).toMatchObject({ runs: [], misnamed: [] });
  const heard = await client.heard(logged, ({ message }) => message.includes("without a length"));
  expect(heard.message).toContain("nine");
});

test("a message above the limit is skipped and answered, and the next one is read", async () => {
  const client = await start();
  const head = '{"jsonrpc":"2.0","id":"big","method":"lfp/listRuns","params":{"x":"';
  const bytes = 65 * 1024 * 1024;
  client.process.stdin.write(`Content-Length: ${bytes}\r\n\r\n${head}`);
  const megabyte = Buffer.alloc(1 << 20, "y");
  for (let left = bytes - head.length; left > 0; left -= megabyte.length)
    if (!client.process.stdin.write(megabyte.subarray(0, Math.min(left, megabyte.length))))
      await once(client.process.stdin, "drain");
  expect(await client.ask(ListRuns, {})).toMatchObject({ runs: [], misnamed: [] });
  const { message } = await client.heard(logged, (told) => told.message.includes("was not read"));
  expect(message).toContain(`lfp/listRuns: A message of ${bytes} bytes`);
});
