// The hello function as a handler: gets the API Gateway event, returns the answer.
exports.handler = async event => {
  const { name } = event.body ? JSON.parse(event.body) : { name: 'World' }
  return {
    statusCode: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ message: 'Hello ' + name })
  }
}
