// The hello function as a module worker, for workerd.
export default {
  async fetch (request) {
    const { name } = request.method === 'POST' ? await request.json() : { name: 'World' }
    return Response.json({ message: 'Hello ' + name })
  }
}
