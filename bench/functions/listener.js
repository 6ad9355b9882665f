// The hello function as a (req, res) listener: the same code as peers/node_http.js.
module.exports = (request, response) => {
  let text = ''
  request.setEncoding('utf8')
  request.on('data', piece => { text += piece })
  request.on('end', () => {
    const body = JSON.stringify({ message: 'Hello ' + (text ? JSON.parse(text).name : 'World') })
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
    response.end(body)
  })
}
