// `perf_hooks`: the isolate's clock, which stands still while JavaScript runs. Nothing is observed.
'use strict';

const { Performance, PerformanceEntry, PerformanceMark, PerformanceMeasure, performance } = internalBinding('holm').natives.web;

function unavailable(name) {
  const error = new Error(`perf_hooks.${name} is not available in a worker.`);
  error.code = 'ERR_METHOD_NOT_IMPLEMENTED';
  throw error;
}

class PerformanceObserver {
  constructor(callback) {
    require('internal/validators').validateFunction(callback, 'callback');
  }
  static get supportedEntryTypes() {
    return Object.freeze([]);
  }
  observe() {}
  disconnect() {}
  takeRecords() {
    return [];
  }
}

module.exports = {
  Performance, PerformanceEntry, PerformanceMark, PerformanceMeasure, performance, PerformanceObserver,
  PerformanceObserverEntryList: class PerformanceObserverEntryList {
    constructor() {
      unavailable('PerformanceObserverEntryList');
    }
  },
  PerformanceResourceTiming: class PerformanceResourceTiming extends PerformanceEntry {},
  monitorEventLoopDelay: () => unavailable('monitorEventLoopDelay'),
  createHistogram: () => unavailable('createHistogram'),
  eventLoopUtilization: () => ({ idle: 0, active: 0, utilization: 0 }),
  timerify: (callback) => callback,
  constants: Object.freeze({
    NODE_PERFORMANCE_GC_MAJOR: 4, NODE_PERFORMANCE_GC_MINOR: 1, NODE_PERFORMANCE_GC_INCREMENTAL: 8,
    NODE_PERFORMANCE_GC_WEAKCB: 16, NODE_PERFORMANCE_GC_FLAGS_NO: 0, NODE_PERFORMANCE_GC_FLAGS_CONSTRUCT_RETAINED: 2,
    NODE_PERFORMANCE_GC_FLAGS_FORCED: 4, NODE_PERFORMANCE_GC_FLAGS_SYNCHRONOUS_PHANTOM_PROCESSING: 8,
    NODE_PERFORMANCE_GC_FLAGS_ALL_AVAILABLE_GARBAGE: 16, NODE_PERFORMANCE_GC_FLAGS_ALL_EXTERNAL_MEMORY: 32,
    NODE_PERFORMANCE_GC_FLAGS_SCHEDULE_IDLE: 64,
  }),
};
