/**
 * Shows a page as VS Code does, in the system's Chromium: the same HTML and policy, a stand-in for VS Code's interface to pages, and a host of
 * the test's own. What the browser objects to (policy violations, errors, console errors) fails the test when the page is closed.
 */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { contentPolicy, pageHtml } from "../../extension/pages/html.ts";
import { buildWebviews } from "../../scripts/build-webviews.ts";
import {
  type AskHandlers,
  type AskSchemas,
  answering,
  type PageType,
  type TellSchemas,
} from "../../server/protocol/pages.ts";
import { type ThemeName, themes } from "./themes.ts";

/** Where a Chromium is; tests that need one are skipped where there is none. */
export const chromiumPath = [process.env["LFP_CHROMIUM"], "/usr/bin/chromium", "/usr/bin/chromium-browser"].find(
  (path) => path !== undefined && existsSync(path),
);

const panel = "00000000-0000-4000-8000-000000000000";

/** A browser and the built pages. */
export class PageHarness {
  readonly #browser: Browser;
  readonly #server: Server;
  readonly #folder: string;

  private constructor(browser: Browser, server: Server, folder: string) {
    this.#browser = browser;
    this.#server = server;
    this.#folder = folder;
  }

  static async start(): Promise<PageHarness> {
    const folder = await mkdtemp(join(tmpdir(), "lfp-pages-"));
    await buildWebviews(folder);
    const server = createServer((request, response) => {
      void respond(request.url ?? "", folder).then(({ type, body, headers }) => {
        response.writeHead(body === undefined ? 404 : 200, { "content-type": type, ...headers }).end(body);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const browser = await chromium.launch({
      ...(chromiumPath && { executablePath: chromiumPath }),
      args: ["--no-sandbox"],
    });
    return new PageHarness(browser, server, folder);
  }

  async open<Asks extends AskSchemas, Tells extends TellSchemas>(
    type: Pick<PageType<Asks, Tells, never>, "name" | "asks">,
    handlers: AskHandlers<Asks>,
    { theme = "dark", state, width = 1100, height = 800 }: OpenOptions = {},
  ): Promise<OpenPage> {
    const context = await this.#browser.newContext({ viewport: { width, height } });
    const page = await context.newPage();
    const opened = new OpenPage(page);
    const answer = answering({ asks: type.asks }, handlers);
    await page.exposeFunction("lfpToHost", async (message: unknown) => {
      const reply = await answer(message);
      if ("refused" in reply) opened.refused.push(reply.refused);
      else await opened.send(reply);
    });
    await page.exposeFunction("lfpState", (kept: unknown) => opened.states.push(kept));
    await page.exposeFunction("lfpViolation", (violation: string) => opened.problems.push(violation));
    await page.addInitScript(actAsVsCode, {
      theme: themes[theme],
      kept: state === undefined ? undefined : { panel, page: state },
    });
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the server has no port");
    await page.goto(`http://127.0.0.1:${address.port}/page/${type.name}`);
    return opened;
  }

  async stop(): Promise<void> {
    await this.#browser.close();
    await new Promise((resolve) => this.#server.close(resolve));
    await rm(this.#folder, { recursive: true });
  }
}

export interface OpenOptions {
  readonly theme?: ThemeName;
  /** What the page kept before. */
  readonly state?: unknown;
  readonly width?: number;
  readonly height?: number;
}

export class OpenPage implements AsyncDisposable {
  readonly page: Page;
  /** What the browser objected to. */
  readonly problems: string[] = [];
  /** Messages of the page that the host dropped. */
  readonly refused: string[] = [];
  readonly states: unknown[] = [];

  constructor(page: Page) {
    this.page = page;
    page.on("pageerror", (error) => this.problems.push(`error: ${error.message}`));
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") this.problems.push(`console: ${message.text()}`);
    });
  }

  async send(message: unknown): Promise<void> {
    await this.page.evaluate((data) => window.postMessage(data, "*"), message);
  }

  /** Keeps a picture where LFP_SCREENSHOTS says, for people to look at. */
  async picture(name: string): Promise<void> {
    const folder = process.env["LFP_SCREENSHOTS"];
    if (folder === undefined) return;
    await mkdir(folder, { recursive: true });
    await this.page.screenshot({ path: join(folder, `${name}.png`) });
  }

  async changeTheme(theme: ThemeName): Promise<void> {
    await this.page.evaluate(({ className, variables }) => {
      document.body.className = className;
      for (const [name, value] of Object.entries(variables)) document.documentElement.style.setProperty(name, value);
    }, themes[theme]);
  }

  /** Closes the page, and throws what the browser objected to. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.page.context().close();
    const wrong = [...this.problems, ...this.refused.map((why) => `refused: ${why}`)];
    if (wrong.length > 0) throw new Error(`the page is not as it should be:\n${wrong.join("\n")}`);
  }
}

/** Runs in the page, before its script. */
function actAsVsCode({ theme, kept }: { theme: (typeof themes)[ThemeName]; kept: unknown }): void {
  const host = window as unknown as {
    lfpToHost(message: unknown): Promise<void>;
    lfpState(state: unknown): Promise<void>;
    lfpViolation(violation: string): Promise<void>;
  };
  let state = kept;
  Object.assign(window, {
    acquireVsCodeApi: () => ({
      postMessage: (message: unknown) => void host.lfpToHost(message),
      getState: () => state,
      setState: (next: unknown) => {
        state = next;
        void host.lfpState(next);
      },
    }),
  });
  document.addEventListener("securitypolicyviolation", (event) => {
    void host.lfpViolation(
      `policy: ${event.violatedDirective} refuses ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`,
    );
  });
  document.addEventListener("DOMContentLoaded", () => {
    document.body.className = theme.className;
    for (const [name, value] of Object.entries(theme.variables))
      document.documentElement.style.setProperty(name, value);
  });
}

interface Answer {
  readonly type: string;
  readonly body: string | Buffer | undefined;
  readonly headers?: Record<string, string>;
}

const types: Readonly<Record<string, string>> = { js: "text/javascript", css: "text/css", ttf: "font/ttf" };

async function respond(url: string, folder: string): Promise<Answer> {
  const [, kind, name = ""] = url.split("?")[0]?.split("/") ?? [];
  if (kind === "files") {
    const body = await readFile(join(folder, name)).catch(() => undefined);
    return { type: types[name.split(".").at(-1) ?? ""] ?? "application/octet-stream", body };
  }
  if (kind !== "page") return { type: "image/x-icon", body: url === "/favicon.ico" ? "" : undefined };
  const nonce = "test";
  const files = { script: `/files/${name}.js`, style: "/files/page.css", codicons: "/files/codicon.css" };
  const body = pageHtml({ title: name, panel, nonce, cspSource: "'self'", ...files });
  return {
    type: "text/html",
    body,
    headers: { "content-security-policy": contentPolicy({ nonce, cspSource: "'self'" }) },
  };
}
