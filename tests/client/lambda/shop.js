// A CommonJS function: an Express application behind serverless-express.
const express = require('express');
const serverlessExpress = require('@codegenie/serverless-express');

const app = express();
app.disable('x-powered-by');
app.use(express.json());
app.use(express.urlencoded({ extended: false }));

app.get('/orders/:id', (req, res) => {
  res.set('ETag', '"1"').json({ id: req.params.id, sort: req.query.sort, agent: req.get('x-agent') });
});
app.post('/orders', (req, res) => res.status(201).location('/orders/7').json(req.body));
app.get('/picture', (req, res) => res.type('image/png').send(Buffer.from([0x89, 0x50, 0, 255])));
app.get('/visit', (req, res) => {
  res.cookie('seen', '1', { httpOnly: true }).cookie('lang', 'en').redirect(303, '/orders/1');
});
app.get('/broken', () => {
  throw new Error('on purpose');
});
app.get('/event', (req, res) => {
  const { event, context } = serverlessExpress.getCurrentInvoke();
  res.json({ version: event.version, id: context.awsRequestId });
});
app.use((error, req, res, next) => res.status(500).json({ message: error.message }));

exports.handler = serverlessExpress({ app, binarySettings: { contentTypes: ['image/*'] } });

// The event that no HTTP request made goes to the application's own route.
exports.queued = serverlessExpress({
  app,
  eventSourceRoutes: { AWS_SQS: '/orders' },
});
