// An echo with Node's ws, of which the argument is the path. It writes its
// address, and ends with its input.
'use strict';

const { WebSocketServer } = require(process.argv[1]);

const server = new WebSocketServer({
  host: '127.0.0.1',
  port: 0,
  perMessageDeflate: { threshold: 0, zlibDeflateOptions: { level: 1 } }, // as the others have it
});
server.on('connection', (ws) => {
  ws.on('message', (data, binary) => ws.send(data, { binary }));
  ws.on('error', () => ws.terminate());
});
server.on('listening', () => console.log(`127.0.0.1:${server.address().port}`));
process.stdin.on('close', () => process.exit(0)).resume();
