'use strict';

const articles = [
  { id: 'kettle', name: 'Kettle', price: 29 },
  { id: 'lamp', name: 'Lamp', price: 45 },
];

const json = (statusCode, value) => ({
  statusCode,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(value),
});

exports.handler = async (event) => {
  const id = event.pathParameters && event.pathParameters.id;
  if (!id) return json(200, { currency: process.env.CURRENCY, articles });
  const article = articles.find((one) => one.id === id);
  return article ? json(200, article) : json(404, { error: `there is no article ${id}` });
};
