import { once } from "node:events";
import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import type { LogOutputChannel } from "vscode";
import { serverLines } from "./server-lines.ts";

test("what a machine without a GPU prints is no error in the log; all else is", async () => {
  const lines: string[] = [];
  const log = {
    error: (line: string) => lines.push(`error ${line}`),
    debug: (line: string) => lines.push(`debug ${line}`),
  } as unknown as LogOutputChannel;
  const input = new PassThrough();
  serverLines.stderr(input, log);
  input.end(
    [
      "Warning: Couldn't load Vulkan",
      "Warning: vkCreateInstance failed with VK_ERROR_INCOMPATIBLE_DRIVER",
      "    at CheckVkSuccessImpl (/dawn/native/vulkan/VulkanError.cpp:106)",
      "",
      "unhandled rejection: TypeError",
    ].join("\n"),
  );
  await once(input, "close");
  expect(lines.map((line) => line.split(" ")[0])).toEqual(["debug", "debug", "debug", "error"]);
});
