'use strict';

module.exports = { File: internalBinding('holm').natives.web.File };
