import { spawn } from "node:child_process";

/** The last line that a program writes: of one that fails too where it is figures, else nothing, as it has said why on standard error. */
export async function lastLine(program: string, args: readonly string[]): Promise<string | undefined> {
  console.error(`$ ${[program, ...args].join(" ")}`);
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise<number | null>((resolve) => {
    child.on("error", (error) => {
      console.error(error.message);
      resolve(null);
    });
    child.on("close", resolve);
  });
  const chunks: Buffer[] = [];
  for await (const chunk of child.stdout) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString("utf8").trimEnd();
  const line = text.slice(text.lastIndexOf("\n") + 1);
  return (await ended) === 0 || line.startsWith('{"name":') ? line : undefined;
}
