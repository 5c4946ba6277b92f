'use strict';

module.exports = {
  async_id_symbol: Symbol('async_id'),
  trigger_async_id_symbol: Symbol('trigger_async_id'),
  owner_symbol: Symbol('owner'),
  messaging_deserialize_symbol: Symbol('deserialize'),
  messaging_transfer_symbol: Symbol('transfer'),
  messaging_clone_symbol: Symbol('clone'),
  messaging_transfer_list_symbol: Symbol('transferList'),
};
