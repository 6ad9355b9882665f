// The hello function on Node's own http server: what a user would write without a platform.
const { createServer } = require('http')

createServer((request, response) => {
  let text = ''
  request.setEncoding('utf8')
  request.on('data', piece => { text += piece })
  request.on('end', () => {
    const body = JSON.stringify({ message: 'Hello ' + (text ? JSON.parse(text).name : 'World') })
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
    response.end(body)
  })
}).listen(Number(process.env.PORT), '127.0.0.1')
