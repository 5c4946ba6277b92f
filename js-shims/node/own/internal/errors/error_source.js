'use strict';

// The text of the worker's modules is not at hand while it runs.
module.exports = { getErrorSourceExpression() {}, getErrorSourceLocation() {} };
