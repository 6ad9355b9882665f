import common from './event_common.cjs';

const handle = await Promise.resolve(common.handle); // top-level await

export const handler = async (event, context) => handle(event, context);
