/** What a page's files are called for it, and what the policy lets in. */
export interface PageFrame {
  readonly title: string;
  /** The host's number for the panel. */
  readonly panel: string;
  /** Of one page only, and unguessable. */
  readonly nonce: string;
  /** The origin of the extension's own files. */
  readonly cspSource: string;
  readonly script: string;
  readonly style: string;
  readonly codicons: string;
}

/** The policy of every page: one script, the extension's own styles, fonts and pictures, no connection, no form, no eval. */
export function contentPolicy({ nonce, cspSource }: Pick<PageFrame, "nonce" | "cspSource">): string {
  return [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src ${cspSource}`,
    `font-src ${cspSource}`,
    `img-src ${cspSource} data:`,
    "connect-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
}

/** The whole of a page's HTML: everything in it is drawn by the script. */
export function pageHtml(frame: PageFrame): string {
  const { title, panel, nonce, script, style, codicons } = frame;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${attribute(contentPolicy(frame))}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${attribute(title)}</title>
<link rel="stylesheet" href="${attribute(codicons)}" id="vscode-codicon-stylesheet">
<link rel="stylesheet" href="${attribute(style)}">
</head>
<body data-panel="${attribute(panel)}">
<script nonce="${attribute(nonce)}" src="${attribute(script)}"></script>
</body>
</html>
`;
}

function attribute(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
