'use strict';
exports.handler = require('./event_common.cjs').handle;
