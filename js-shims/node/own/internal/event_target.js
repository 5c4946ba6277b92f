'use strict';

const { CustomEvent, Event, EventTarget } = internalBinding('holm').natives.web;

module.exports = {
  CustomEvent, Event, EventTarget,
  isEventTarget: (value) => value instanceof EventTarget,
  kEvents: Symbol('kEvents'),
  kWeakHandler: Symbol('kWeakHandler'),
  kResistStopPropagation: Symbol('kResistStopPropagation'),
  kNewListener: Symbol('kNewListener'),
  kRemoveListener: Symbol('kRemoveListener'),
  kTrustEvent: Symbol('kTrustEvent'),
};
