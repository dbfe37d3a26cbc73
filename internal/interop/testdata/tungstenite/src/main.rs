//! A peer for peers_test.go, which tells what its arguments are: Rust's
//! tungstenite.

use std::env;
use std::net::{TcpListener, TcpStream};

use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame};
use tungstenite::{Error, Message, WebSocket};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Random numbers, as xorshift32 makes them.
struct Random(u32);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 as usize % n
    }
}

struct Peer {
    ws: WebSocket<TcpStream>,
    random: Random,
    fragments: usize,
    pings: usize,
    pongs: usize,
    answered: usize, // the last ping with a pong
}

impl Peer {
    fn ping(&mut self) -> Result<()> {
        self.pings += 1;
        Ok(self.ws.send(Message::Ping(self.pings.to_string().into()))?)
    }

    /// Sends a message back, now and then in pieces that begin anywhere.
    fn echo(&mut self, message: Message) -> Result<()> {
        if self.random.below(5) != 0 {
            return Ok(self.ws.send(message)?);
        }
        let mut code = if message.is_text() { Data::Text } else { Data::Binary };
        let mut rest = message.into_data();
        for _ in 0..=self.random.below(4) {
            let piece = rest.split_to(self.random.below(rest.len() + 1));
            self.ws.send(Message::Frame(Frame::message(piece, OpCode::Data(code), false)))?;
            self.fragments += 1;
            code = Data::Continue;
            if self.random.below(3) == 0 {
                self.ping()?;
            }
        }
        Ok(self.ws.send(Message::Frame(Frame::message(rest, OpCode::Data(code), true)))?)
    }
}

fn main() -> Result<()> {
    let args: Vec<String> = env::args().collect();
    let (url, reason) = (&args[1], &args[5]);
    let (messages, seed, code): (usize, u32, u16) = (args[2].parse()?, args[3].parse()?, args[4].parse()?);

    let ws = if url.is_empty() {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        println!(r#"{{"address": "{}"}}"#, listener.local_addr()?);
        tungstenite::accept(listener.accept()?.0)?
    } else {
        let stream = TcpStream::connect(&url["ws://".len()..])?;
        tungstenite::client(url, stream)?.0
    };
    let mut peer = Peer { ws, random: Random(seed | 1), fragments: 0, pings: 0, pongs: 0, answered: 0 };
    let (mut count, mut pinged, mut end) = (0, 0, None);
    loop {
        match peer.ws.read() {
            Ok(Message::Ping(_)) => pinged += 1, // the library answers it
            Ok(Message::Pong(payload)) => {
                peer.pongs += 1;
                peer.answered = std::str::from_utf8(&payload)?.parse()?;
            }
            Ok(Message::Close(frame)) => end = frame,
            Ok(message) => {
                count += 1;
                if count == messages || peer.random.below(20) == 0 {
                    peer.ping()?;
                }
                peer.echo(message)?;
            }
            Err(Error::ConnectionClosed) => break,
            Err(e) => return Err(e.into()),
        }
        if code != 0 && count == messages && peer.answered == peer.pings && peer.ws.can_write() {
            peer.ws.close(Some(CloseFrame { code: code.into(), reason: reason.as_str().into() }))?;
        }
    }
    let (code, reason) = match &end {
        Some(frame) => (frame.code.into(), frame.reason.as_str()),
        None => (1005u16, ""),
    };
    println!(
        r#"{{"messages": {}, "fragments": {}, "pings": {}, "pongs": {}, "pinged": {}, "code": {}, "reason": "{}"}}"#,
        count, peer.fragments, peer.pings, peer.pongs, pinged, code, reason
    );
    Ok(())
}
