import bytes from "./data.bin";
import page from "./page.html";
import readme from "./readme.md";
import settings from "./settings.json";
import { version } from "./settings.json";
import sql from "./schema.sql";
import note from "./note.txt";

export default {
  fetch() {
    return Response.json({ page, readme, settings, version, sql, note, bytes: [...new Uint8Array(bytes)] });
  },
};
