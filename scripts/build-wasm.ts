/** Assembles server/engine/cpu/kernels.wat into kernels.wasm.ts; a test fails when the two have drifted apart. */
import { readFile, writeFile } from "node:fs/promises";
import wabt from "wabt";

const folder = new URL("../server/engine/cpu/", import.meta.url);

export async function assembleKernels(): Promise<string> {
  const source = await readFile(new URL("kernels.wat", folder), "utf8");
  const { parseWat } = await wabt();
  const module = parseWat("kernels.wat", source, { simd: true });
  const base64 = Buffer.from(module.toBinary({}).buffer).toString("base64");
  module.destroy();
  const lines = base64.match(/.{1,110}/g) ?? [];
  return `/** Made from kernels.wat by \`npm run build:wasm\`; do not edit. */\nexport const kernelsWasmBase64 =\n  "${lines.join('" +\n  "')}";\n`;
}

if (import.meta.main) await writeFile(new URL("kernels.wasm.ts", folder), await assembleKernels());
