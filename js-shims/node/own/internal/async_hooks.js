'use strict';

const { owner_symbol } = internalBinding('symbols');

module.exports = { symbols: { owner_symbol, async_id_symbol: Symbol('async_id') }, defaultTriggerAsyncIdScope: (id, run, ...args) => run(...args) };
