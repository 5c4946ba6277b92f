'use strict';

const isBuildingSnapshot = () => false;

module.exports = {
  isBuildingSnapshot,
  addAfterUserSerializeDeserializeSnapshot() {},
  addDeserializeCallback() {},
  addSerializeCallback() {},
  runDeserializeCallbacks() {},
  throwIfBuildingSnapshot() {},
  namespace: { isBuildingSnapshot, addSerializeCallback() {}, addDeserializeCallback() {}, setDeserializeMainFunction() {} },
};
