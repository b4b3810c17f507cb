import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";

/** A program that says when it hears a first signal, and ends by itself when told on standard input. */
const program = `
  import { abortOnTermination } from ${JSON.stringify(new URL("cancel.ts", import.meta.url).href)};
  const { signal } = abortOnTermination();
  signal.addEventListener("abort", () => process.stdout.write("saving"));
  process.stdin.once("data", () => process.exit(75));
  process.stdout.write("ready");
`;

async function startIt() {
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["pipe", "pipe", "inherit"] });
  await once(child.stdout, "data");
  return child;
}

test.skipIf(process.platform === "win32")(
  "a second SIGTERM, as clusters send it, does not end what is saving",
  async () => {
    const child = await startIt();
    child.kill("SIGTERM");
    expect(String(await once(child.stdout, "data"))).toBe("saving");
    child.kill("SIGTERM");
    child.kill("SIGHUP");
    child.stdin.write("end");
    expect(await once(child, "exit")).toEqual([75, null]);
  },
);

test.skipIf(process.platform === "win32")("a second Ctrl-C ends the process at once", async () => {
  const child = await startIt();
  child.kill("SIGINT");
  expect(String(await once(child.stdout, "data"))).toBe("saving");
  child.kill("SIGINT");
  expect(await once(child, "exit")).toEqual([null, "SIGINT"]);
});
