// A (req, res) listener: server-sent events that wait for another request, and an echo.
const waiting = new Map()
module.exports = (req, res) => {
  const url = new URL(req.url, 'http://f')
  const path = url.pathname
  if (path === '/events') {
    const id = url.searchParams.get('id')
    res.writeHead(200, { 'Content-Type': 'text/event-stream' })
    res.write('data: first\n\n')
    waiting.set(id, () => { res.write('data: second\n\n'); res.end() })
  } else if (path === '/go') {
    const id = url.searchParams.get('id')
    const found = waiting.get(id)
    if (found) found()
    res.end(JSON.stringify({ found: !!found }))
  } else if (path === '/throw') {
    throw new Error('listener threw')
  } else {
    const parts = []
    req.on('data', d => parts.push(d))
    req.on('end', () => {
      res.setHeader('Content-Type', 'application/json')
      res.setHeader('Set-Cookie', ['a=1', 'b=2'])
      res.end(JSON.stringify({
        method: req.method, url: req.url, headers: req.headers, raw: req.rawHeaders,
        body: Buffer.concat(parts).toString('base64')
      }))
    })
  }
}
