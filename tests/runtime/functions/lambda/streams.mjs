// Forms in which streaming handlers write; the event names the form.

const ops = {
  head(stream) {
    const out = awslambda.HttpResponseStream.from(stream, {
      statusCode: 201,
      headers: { 'Content-Type': 'text/html' },
      cookies: ['a=1', 'b=2'],
    });
    out.write('<p>');
    out.end('x');
  },
  prelude(stream) {
    stream.setContentType('application/vnd.awslambda.http-integration-response');
    stream.write('{"statusCode":418,"hea');
    stream.write('ders":{"x-a":"b"}}');
    stream.write(new Uint8Array(5));
    stream.write(Buffer.concat([Buffer.alloc(3), Buffer.from('tea')]));
    stream.end();
  },
  hook(stream) {
    stream.setContentType('application/vnd.awslambda.http-integration-response');
    stream._onBeforeFirstWrite = (write) => {
      write(JSON.stringify({ statusCode: 202 }));
      write(new Uint8Array(8));
    };
    stream.end('hooked');
  },
  type(stream) {
    stream.setContentType('text/csv');
    stream.write('a,b');
    try {
      stream.setContentType('text/plain');
    } catch (error) {
      stream.write(`\n${error.name}`);
    }
    stream.end();
  },
  object(stream) {
    stream.write({ a: 1 });
    stream.end();
  },
  nothing(stream) {
    awslambda.HttpResponseStream.from(stream, { statusCode: 204 }).end();
  },
  broken(stream) {
    stream.setContentType('application/vnd.awslambda.http-integration-response');
    stream.write('{"statusCode":');
    stream.end();
  },
};

export const handler = awslambda.streamifyResponse(async (event, stream) => {
  const finished = new Promise((done) => stream.on('finish', done).on('error', done));
  ops[event.op](stream);
  await finished;
});
