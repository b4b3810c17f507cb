import * as fs from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { gitHash } from "../../test/support/fake-hub.ts";
import {
  COMMIT,
  config,
  failing,
  home,
  hub,
  ID,
  noise,
  resolve,
  useHubModel,
  weights,
} from "../../test/support/hub-model.ts";
import { HubRefusedError, HubSettingsError, HubUnreachableError } from "./hub/errors.ts";
import { CheckpointIndexError, NoWeightsError, PickleRefusedError } from "./safetensors.ts";

useHubModel();

test("no such model, no such revision, no permission: said in words", async () => {
  const unknown = await failing({}, "nobody/nothing");
  expect(unknown).toBeInstanceOf(HubRefusedError);
  expect(unknown).toMatchObject({ status: 401, code: "usage" });
  expect(unknown.message).toMatch(/spelling.*HF_TOKEN/);

  const revision = await failing({}, `${ID}@no-such-branch`);
  expect(revision).toMatchObject({ name: "HubRefusedError", status: 404, code: "not-found" });
  expect(revision.message).toContain("no such branch");

  hub.intercept = (_request, response) => Boolean(response.writeHead(403, { "X-Error-Code": "GatedRepo" }).end());
  const gated = await failing({ env: { HF_TOKEN: "hf_secret" } });
  expect(gated.message).toMatch(/terms/);
  expect(gated.message).not.toMatch(/HF_TOKEN|hf_secret/);
  hub.intercept = (_request, response) => Boolean(response.writeHead(401).end());
  expect((await failing({ env: { HF_TOKEN: "hf_secret" } })).message).toMatch(/check the token/);
  expect(hub.seen.length).toBeLessThan(10);
});

test("the token goes to the endpoint and nowhere else", async () => {
  let pageOnStore = "";
  hub.intercept = ({ server, path }, response) => {
    if (server === "store" && path === pageOnStore) return Boolean(response.end("[]"));
    if (server === "hub" && path.includes("/tree/") && pageOnStore === "") {
      // A list whose next page is on another origin.
      pageOnStore = "/elsewhere";
      response.setHeader("Link", `<${hub.storeOrigin}${pageOnStore}>; rel="next"`);
      return Boolean(response.end("[]"));
    }
    return false;
  };
  const env = { HF_TOKEN: "hf_secret" };
  expect(await failing({ env })).toBeInstanceOf(NoWeightsError);
  await resolve({ env });
  const byServer = (name: string) =>
    new Set(hub.seen.filter(({ server }) => server === name).map(({ authorization }) => authorization));
  expect(byServer("hub")).toEqual(new Set(["Bearer hf_secret"]));
  expect(byServer("store")).toEqual(new Set([undefined]));
  expect(hub.seen.some(({ path }) => path === "/elsewhere")).toBe(true);
});

test("the token may come from the file that logging in writes", async () => {
  await fs.writeFile(join(home, "token"), "hf_fromfile\n");
  await resolve();
  expect(hub.seen[0]?.authorization).toBe("Bearer hf_fromfile");
  const other = join(home, "other-token");
  await fs.writeFile(other, "hf_other");
  hub.seen.length = 0;
  await resolve({ env: { HF_TOKEN_PATH: other } });
  expect(hub.seen[0]?.authorization).toBe("Bearer hf_other");
});

test("settings that cannot be used are refused, and no secret is repeated", async () => {
  for (const endpoint of ["huggingface.co", "ftp://x", "http://user:hf_secret@127.0.0.1/"]) {
    const error = await failing({ env: { HF_ENDPOINT: endpoint } });
    expect(error).toBeInstanceOf(HubSettingsError);
    expect(error.message).not.toContain("hf_secret");
  }
  const error = await failing({ env: { HF_TOKEN: "hf_secret\r\nX: y" } });
  expect(error).toBeInstanceOf(HubSettingsError);
  expect(error.message).not.toContain("hf_secret");
  expect(hub.seen).toEqual([]);
});

test("a redirect from a safe to an unsafe address is not followed", async () => {
  const asked: string[] = [];
  const redirecting: typeof fetch = async (input) => {
    asked.push(String(input));
    return new Response(null, { status: 302, headers: { Location: "http://127.0.0.1:1/" } });
  };
  const error = await failing({ fetch: redirecting, env: { HF_ENDPOINT: "https://hub.example" } });
  expect(error).toBeInstanceOf(HubUnreachableError);
  expect(error.message).toContain("http:");
  expect(asked.every((url) => url.startsWith("https://hub.example/api/models/"))).toBe(true);
});

test("answers that are not the hub's", async () => {
  const answers = ["<html>Log in to the hotel's network</html>", "null", "{}", '{"sha":"../../x"}'];
  for (const answer of answers) {
    hub.intercept = (_request, response) =>
      Boolean(response.writeHead(200, { "Content-Type": "text/html" }).end(answer));
    expect(await failing(), answer).toBeInstanceOf(HubUnreachableError);
  }
  const entry = { type: "file", path: "config.json", size: 5, oid: gitHash(config) };
  for (const bad of [
    { ...entry, oid: "../../../evil" },
    { ...entry, size: -1 },
    { ...entry, path: 5 },
    { ...entry, lfs: { oid: "x" } },
  ]) {
    hub.intercept = ({ path }, response) => path.includes("/tree/") && Boolean(response.end(JSON.stringify([bad])));
    expect(await failing(), JSON.stringify(bad)).toBeInstanceOf(HubUnreachableError);
  }
  expect(await fs.readdir(home)).toEqual([]);
});

test("models whose weights cannot be had", async () => {
  const serve = (commit: Record<string, Buffer>) =>
    hub.repositories.set(ID, { branches: { main: COMMIT }, commits: { [COMMIT]: commit } });
  serve({ "config.json": config, "pytorch_model.bin": noise(2000, 3) });
  const pickle = await failing();
  expect(pickle).toBeInstanceOf(PickleRefusedError);
  expect(pickle.message).toContain("safe_serialization=True");
  serve({ "config.json": config, "model.gguf": noise(2000, 3) });
  expect(await failing()).toBeInstanceOf(NoWeightsError);
  serve({ "model.safetensors": weights });
  expect(await failing()).toBeInstanceOf(NoWeightsError);
  for (const shard of ["../../secret.safetensors", "model-00001-of-00001.safetensors"]) {
    serve({
      "config.json": config,
      "model.safetensors.index.json": Buffer.from(JSON.stringify({ weight_map: { w: shard } })),
    });
    expect(await failing()).toBeInstanceOf(CheckpointIndexError);
  }
  expect(hub.filesSeen().filter(({ path }) => /bin|gguf/.test(path))).toEqual([]);
});

test("an answer without end is given up: its bytes, its time and its pages are bounded", async () => {
  const head = { "content-type": "application/json" };
  const endless: [RegExp, (response: ServerResponse) => void][] = [
    [
      /more than 33554432 bytes/,
      (response) => {
        response.writeHead(200, { ...head, "content-encoding": "gzip" });
        const bomb = gzipSync(Buffer.alloc(2 ** 25, " "), { level: 9 });
        for (let member = 0; member < 8; member++) response.write(bomb);
        response.end();
      },
    ],
    [/aborted due to timeout|in time/, (response) => void response.writeHead(200, head).write("[")],
    [
      /more than 200 pages/,
      (response) => {
        response.setHeader("Link", `<${hub.endpoint}/api/models/${ID}/tree/${COMMIT}?cursor=2>; rel="next"`);
        response.writeHead(200, head).end("[]");
      },
    ],
  ];
  for (const [says, respond] of endless) {
    hub.intercept = ({ path }, response) => {
      if (!path.includes("/tree/")) return false;
      respond(response);
      return true;
    };
    const error = await failing({ patience: { retries: 0, retryDelayMs: 1, silenceMs: 1500 } });
    expect(error).toBeInstanceOf(HubUnreachableError);
    expect(error.message).toMatch(says);
  }
});
