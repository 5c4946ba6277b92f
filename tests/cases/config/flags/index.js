export default {
  fetch: () => Response.json([Cloudflare.compatibilityFlags.brotli_content_encoding, Cloudflare.compatibilityFlags.url_standard, Cloudflare.compatibilityFlags.nodejs_compat]),
};
