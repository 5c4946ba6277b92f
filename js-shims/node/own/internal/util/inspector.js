'use strict';

module.exports = { isUsingInspector: () => false, sendInspectorCommand() {} };
