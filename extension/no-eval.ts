/** Imported before any schema: whether schemas may be compiled is tried in a way that VS Code logs as an error of ours. */
import * as z from "zod";

z.config({ jitless: true });
