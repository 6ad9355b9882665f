'use strict';

exports.handler = async (event, context) => {
  const query = event.queryStringParameters || {};
  const name = event.name || query.name || 'World';
  console.log('greeting', name);
  return { message: `Hello ${name}`, request: context.awsRequestId };
};
