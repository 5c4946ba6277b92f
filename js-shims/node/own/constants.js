'use strict';

const { os, fs, crypto } = internalBinding('constants');

Object.assign(exports, os.dlopen, os.errno, os.priority, os.signals, fs, crypto);
