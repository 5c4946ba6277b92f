// `util.parseEnv`: the text of an `.env` file as an object.
'use strict';

const LINE = /^\s*(?:export\s+)?([\w.-]+)\s*=\s*('[^']*'|"(?:\\.|[^"\\])*"|`[^`]*`|[^#\r\n]*)?\s*(?:#.*)?$/gm;

exports.parse = (content) => {
  const found = {};
  for (const match of content.replace(/\r\n?/g, '\n').matchAll(LINE)) {
    let value = (match[2] ?? '').trim();
    const quote = value[0];
    if (value.length > 1 && (quote === '"' || quote === "'" || quote === '`') && value.endsWith(quote)) {
      value = value.slice(1, -1);
      if (quote === '"') value = value.replace(/\\n/g, '\n');
    }
    found[match[1]] = value;
  }
  return found;
};
