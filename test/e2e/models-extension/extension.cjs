/** A language model that answers the questions of explaining, and a command that asks LFP Lens's tools as chat does. */
const vscode = require("vscode");

exports.activate = ({ subscriptions }) => {
  const information = {
    id: "model-1",
    name: "Made Model",
    family: "made",
    version: "1",
    maxInputTokens: 100_000,
    maxOutputTokens: 10_000,
    capabilities: {},
  };
  const provider = {
    provideLanguageModelChatInformation: async () => [information],
    provideLanguageModelChatResponse: async (_model, messages, _options, progress) => {
      const text = messages[0].content.map(({ value = "" }) => value).join("");
      progress.report(new vscode.LanguageModelTextPart(answerTo(text)));
    },
    provideTokenCount: async () => 1,
  };
  subscriptions.push(
    vscode.lm.registerLanguageModelChatProvider("made", provider),
    vscode.commands.registerCommand("made.ask", ask),
  );
};

function answerTo(text) {
  const question = JSON.parse(text.split("\n\n").at(-1));
  if (Array.isArray(question.texts)) return JSON.stringify({ answers: question.texts.map((_, at) => at % 2) });
  if (text.includes("examples_with_activation")) return JSON.stringify({ explanation: "a made-up explanation" });
  return JSON.stringify({ relevant: false, polarity: "none", confidence: 0.5, why: "made up" });
}

async function ask() {
  const known = vscode.lm.tools.filter(({ name }) => name.startsWith("lfpLens_")).map(({ name }) => name);
  const { content } = await vscode.lm.invokeTool("lfpLens_score", { input: { text: "A great film." } });
  const [{ value }] = content;
  const [mean] = value.match(/^Mean over .*$/m);
  await vscode.window.showInformationMessage(`${known.length} tools; ${mean}`);
}
