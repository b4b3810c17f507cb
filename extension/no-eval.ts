/**
 * Stops zod from testing whether it may compile schemas, which VS Code would log as this extension's error. Import it
 * before any schema.
 */
import * as z from "zod";

z.config({ jitless: true });
