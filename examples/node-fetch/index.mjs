export default {
  async fetch(request, env, ctx) {
    const url = new URL(request.url);
    if (request.method === 'POST') {
      const text = await request.text();
      ctx.waitUntil(Promise.resolve().then(() => console.log('received', text.length)));
      return Response.json({ length: text.length }, { status: 201 });
    }
    return Response.json({ path: url.pathname, region: env.AWS_REGION });
  },
};
