/** The addresses of a page's files, and what its content security policy admits. */
export interface PageFrame {
  readonly title: string;
  /** The host's id of the panel. */
  readonly panel: string;
  /** Unguessable nonce for this page only. */
  readonly nonce: string;
  /** The origin of the extension's own files. */
  readonly cspSource: string;
  readonly script: string;
  readonly style: string;
  readonly codicons: string;
}

/**
 * The content security policy of every page: one script, the extension's own styles, fonts and pictures; no connection,
 * form or eval.
 */
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

/** A page's complete HTML; the script draws all content. */
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
