'use strict';
const { handle } = require('./event_common.cjs');

exports.handler = (event, context, callback) => {
  handle(event, context).then(
    (value) => callback(null, value),
    (error) => callback(error),
  );
};
