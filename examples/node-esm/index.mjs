import { readFile } from 'node:fs/promises';

// Initialisation: runs once for each instance, before the first event.
const greetings = JSON.parse(await readFile(new URL('greetings.json', import.meta.url)));

export const handler = async (event) => {
  const { lang = 'en', name = 'World' } = event.queryStringParameters || event;
  const greeting = greetings[lang];
  if (greeting === undefined) return { statusCode: 404, body: `no greeting in ${lang}\n` };
  return {
    statusCode: 200,
    headers: { 'content-type': 'text/plain; charset=utf-8' },
    body: `${greeting} ${name}\n`,
  };
};
