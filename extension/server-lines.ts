/** What the server's process and the libraries in it print. Independent of VS Code. */
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import type { LogOutputChannel } from "vscode";

/** Lines that the GPU library prints on every machine without a driver for a GPU, where texts are read on the CPU. */
const missingDriver = /Couldn't load Vulkan|vkCreateInstance|VK_ERROR_\w+|VulkanError\.cpp|Found no drivers/;

/** Whether a line of standard error says no more than that the machine has no GPU. */
export function isAboutMissingDriver(line: string): boolean {
  return missingDriver.test(line);
}

/** Logs both streams of the server line by line: what needs no attention below the errors. */
export const serverLines = {
  stdout: (input: Readable, log: LogOutputChannel): void => eachLine(input, (line) => log.info(line)),
  stderr: (input: Readable, log: LogOutputChannel): void =>
    eachLine(input, (line) => (isAboutMissingDriver(line) ? log.debug(line) : log.error(line))),
};

function eachLine(input: Readable, log: (line: string) => void): void {
  createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY, terminal: false, historySize: 0 }).on(
    "line",
    (line) => {
      if (line.trim() !== "") log(line);
    },
  );
}
