/** Imported before any schema: schemas are not to be compiled by `new Function`, which the pages' policy forbids and would report. */
import * as z from "zod";

z.config({ jitless: true });
