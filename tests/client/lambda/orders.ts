// Functions in TypeScript with Powertools; the tests compile this with esbuild, as people do.
import { randomUUID } from 'node:crypto';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BatchProcessor, EventType, processPartialResponse } from '@aws-lambda-powertools/batch';
import type { LambdaInterface } from '@aws-lambda-powertools/commons/types';
import { NotFoundError, Router } from '@aws-lambda-powertools/event-handler/http';
import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import { BaseProvider } from '@aws-lambda-powertools/parameters/base';
import { Tracer } from '@aws-lambda-powertools/tracer';

declare const awslambda: any;

interface Order {
  id: string;
  amount?: number;
}
type Outcome<T> = { ok: true; value: T } | { ok: false; reason: string };

const logger = new Logger({ serviceName: 'orders', logLevel: 'INFO' });
const metrics = new Metrics({ namespace: 'shop', serviceName: 'orders' });
const tracer = new Tracer({ serviceName: 'orders' });

const check = (order: Order): Outcome<number> =>
  (order.amount ?? 0) > 0 ? { ok: true, value: order.amount! } : { ok: false, reason: `order ${order.id} is empty` };

export const logged = async (event: Order, context: any) => {
  logger.addContext(context);
  logger.appendKeys({ order: event.id });
  logger.debug('is not seen');
  logger.info('taken', { amount: event.amount });
  const outcome = check(event);
  if (outcome.ok === false) logger.error('refused', new RangeError(outcome.reason));
  logger.resetKeys();
  return outcome;
};

export const counted = async (event: Order) => {
  metrics.addDimension('stage', process.env.STAGE ?? 'none');
  metrics.addMetric('sold', MetricUnit.Count, event.amount ?? 1);
  metrics.captureColdStartMetric();
  metrics.publishStoredMetrics();
  return metrics.hasStoredMetrics();
};

export const traced = async () => {
  const outer = tracer.getSegment();
  const inner = outer?.addNewSubsegment('price');
  inner?.addAnnotation('kind', 'pen');
  inner?.close();
  return { enabled: tracer.isTracingEnabled(), root: tracer.getRootXrayTraceId(), name: inner?.name };
};

const processor = new BatchProcessor(EventType.SQS);
export const batched = async (event: any, context: any) =>
  processPartialResponse(
    event,
    (record: any) => {
      const outcome = check(JSON.parse(record.body));
      if (outcome.ok === false) throw new Error(outcome.reason);
      return outcome.value;
    },
    processor,
    { context },
  );

const app = new Router({ logger });
const orders = new Map<string, Order>([['1', { id: '1', amount: 2 }]]);
app.use(async ({ next, reqCtx }: any) => {
  await next();
  reqCtx.res.headers.set('x-served-by', 'router');
});
app.get('/orders/:id', async ({ params }: any) => {
  const found = orders.get(params.id);
  if (!found) throw new NotFoundError(`no order ${params.id}`);
  return { ...found };
});
app.post('/orders', async ({ req }: any) => {
  const order = (await req.json()) as Order;
  orders.set(order.id, order);
  return new Response(JSON.stringify({ made: order.id }), { status: 201, headers: { 'content-type': 'application/json' } });
});
export const routed = async (event: unknown, context: any) => app.resolve(event, context);

class Shelf extends BaseProvider {
  asked = 0;
  constructor() {
    super({} as any);
  }
  async get(name: string, options?: any): Promise<any> {
    return super.get(name, options);
  }
  protected async _get(name: string): Promise<string> {
    this.asked += 1;
    return JSON.stringify({ name, stage: process.env.STAGE });
  }
  protected async _getMultiple(): Promise<undefined> {}
}
const shelf = new Shelf();
export const configured = async () => {
  const first = await shelf.get('/shop/limits', { transform: 'json', maxAge: 60 });
  await shelf.get('/shop/limits', { transform: 'json', maxAge: 60 });
  return { first, asked: shelf.asked };
};

class Lambda implements LambdaInterface {
  private readonly greeting = 'hello';
  @tracer.captureLambdaHandler()
  @metrics.logMetrics({ captureColdStartMetric: false })
  @logger.injectLambdaContext({ logEvent: true })
  public async handler(event: { name: string }, _context: any): Promise<string> {
    metrics.addMetric('greeted', MetricUnit.Count, 1);
    logger.info('greets');
    return `${this.greeting} ${event.name}`;
  }
}
const instance = new Lambda();
export const decorated = instance.handler.bind(instance);

async function* lines(count: number) {
  for (let i = 0; i < count; i += 1) yield `${i}\n`;
}
export const streamed = awslambda.streamifyResponse(async (event: any, stream: any, context: any) => {
  const out = awslambda.HttpResponseStream.from(stream, {
    statusCode: 203,
    headers: { 'Content-Type': 'text/plain', 'X-Request': context.awsRequestId },
    cookies: ['a=1', 'b=2'],
  });
  const count = Number(event.queryStringParameters?.count ?? 3);
  const double = new Transform({
    transform(chunk, _encoding, done) {
      done(null, String(Number(chunk) * 2) + '\n');
    },
  });
  await pipeline(Readable.from(lines(count)), double, out);
});

export const unique = async () => ({ id: randomUUID(), kind: typeof awslambda.streamifyResponse });
