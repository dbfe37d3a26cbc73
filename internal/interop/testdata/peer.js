// A peer for node_test.go: Node's ws, of which the argument is the path. It is
// told what to do in lines of JSON, and says what came of it in such lines.
//
// A job is {id, url or nothing, options, messages, seed}: connect to the url, or
// wait for a client at the path /id, with these options of permessage-deflate,
// and send back as many messages as that.
'use strict';

const assert = require('node:assert');
const http = require('node:http');
const readline = require('node:readline');
const { WebSocket, WebSocketServer } = require(process.argv[2]);

const say = (what) => process.stdout.write(JSON.stringify(what) + '\n');

// numbers makes random numbers from 0 to less than 1, as xorshift32 does.
function numbers(seed) {
  let x = seed | 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 2 ** 32;
  };
}

function talk(ws, socket, job, answer) {
  const random = numbers(job.seed);
  const below = (n) => Math.floor(random() * n);
  const waiting = new Map(); // pings without a pong, by their payloads: which one it was
  let answered = -1; // the last ping with a pong
  const said = { id: job.id, answer, messages: 0, fragments: 0, pings: 0, pongs: 0, late: 0, pinged: 0 };

  function ping() {
    const payload = `${job.id}/${said.pings}/`.padEnd(below(126), '.');
    waiting.set(payload, said.pings++);
    ws.ping(payload);
  }

  function echo(data, binary) {
    const compress = random() > 0.1;
    if (random() < 0.2) {
      for (let i = 1 + below(4); i > 0; i--) {
        const n = below(data.length + 1);
        ws.send(data.subarray(0, n), { binary, compress, fin: false });
        data = data.subarray(n);
        said.fragments++;
      }
    }
    ws.send(data, { binary, compress, fin: true });
  }

  function done() {
    if (said.messages === job.messages && answered === said.pings - 1) ws.close(1000, 'done');
  }

  ws.on('message', (data, binary) => {
    const last = ++said.messages === job.messages;
    if (last || random() < 0.05) ping();
    echo(data, binary);
  });
  ws.on('ping', () => said.pinged++);
  ws.on('pong', (payload) => {
    // A pong may answer several pings (RFC 6455 §5.5.3).
    const ping = waiting.get(payload.toString());
    assert.notStrictEqual(ping, undefined, `a pong that answers nothing: ${payload}`);
    waiting.delete(payload.toString());
    if (ping < answered) said.late++;
    answered = Math.max(answered, ping);
    said.pongs++;
    done();
  });
  ws.on('error', (e) => (said.error = String(e)));
  ws.on('close', (code) => {
    say({ ...said, extensions: ws.extensions, code, read: socket.bytesRead, written: socket.bytesWritten });
  });
}

const jobs = new Map(); // that wait for a client
const server = http.createServer();
server.on('upgrade', (request, socket, head) => {
  const id = request.url.slice(1);
  const job = jobs.get(id);
  jobs.delete(id);
  const wss = new WebSocketServer({ noServer: true, perMessageDeflate: job.options });
  let answer = '';
  wss.on('headers', (lines) => {
    const name = 'sec-websocket-extensions: ';
    answer = (lines.find((l) => l.toLowerCase().startsWith(name)) || name).slice(name.length);
  });
  wss.handleUpgrade(request, socket, head, (ws) => talk(ws, socket, job, answer));
});

function begin(job) {
  if (!job.url) {
    jobs.set(String(job.id), job);
    say({ id: job.id, waits: true });
    return;
  }
  const ws = new WebSocket(job.url, { perMessageDeflate: job.options });
  let opened = false;
  ws.on('upgrade', (response) => {
    opened = true;
    talk(ws, response.socket, job, response.headers['sec-websocket-extensions'] || '');
  });
  ws.on('error', (e) => opened || say({ id: job.id, error: String(e) }));
}

server.listen(0, '127.0.0.1', () => {
  say({ address: `127.0.0.1:${server.address().port}` });
  const lines = readline.createInterface({ input: process.stdin });
  lines.on('line', (line) => begin(JSON.parse(line)));
  lines.on('close', () => process.exit(0));
});
