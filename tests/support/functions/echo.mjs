// An ES module with an async handler, and await at the top level.
const started = await Promise.resolve('awaited at the top')
export const handler = async (event, context) => ({ event, request_id: context.awsRequestId, started })
