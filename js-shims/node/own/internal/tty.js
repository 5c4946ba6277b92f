'use strict';

module.exports = { getColorDepth: () => 1, hasColors: () => false };
