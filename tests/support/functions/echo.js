// CommonJS, a callback handler.
let calls = 0
exports.handler = (event, context, callback) => {
  calls++
  callback(null, {
    event,
    request_id: context.awsRequestId,
    function: context.functionName,
    remaining_ms: context.getRemainingTimeInMillis(),
    instance: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    calls
  })
}
exports.promise = event => Promise.resolve({ promised: event })
exports.fails = (event, context, callback) => callback(new RangeError('callback said no'))
exports.rejects = () => Promise.reject(new TypeError('promise said no'))
