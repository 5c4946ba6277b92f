'use strict';

const holm = internalBinding('holm');

exports.BuiltinModule = {
  exists: (id) => id.startsWith('internal/') || holm.isBuiltin(id),
  canBeRequiredByUsers: (id) => holm.isBuiltin(id),
  canBeRequiredWithoutScheme: (id) => holm.isBuiltin(id),
  normalizeRequirableId: (id) => id.startsWith('node:') ? id.slice(5) : holm.isBuiltin(id) ? id : undefined,
  getSchemeOnlyModuleNames: () => [],
};
