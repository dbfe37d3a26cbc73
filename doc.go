// Package websocket implements the WebSocket protocol (RFC 6455), with
// compression (RFC 7692), for servers and clients, with the API of
// gorilla/websocket.
//
// # Connections
//
// A server upgrades HTTP requests with an [Upgrader], a client dials with a
// [Dialer]; both get a [Conn]. [Conn.ReadMessage] and [Conn.WriteMessage]
// receive and send whole messages. [Conn.AppendMessage] receives into memory of
// the caller, and [Conn.NextReader] and [Conn.NextWriter] give a message as an
// io.Reader and take one as an io.WriteCloser.
//
// # Servers
//
// A [Server] is an http.Handler that does what programs with many connections need
// around an Upgrader: it serves each connection on a goroutine of its own, when the HTTP
// handler has returned, limits their number, in all and for each client, tells hooks of
// them, counts, and ends them all with [Server.Shutdown], which http.Server's does not.
// A panic of the function that serves a connection ends that connection alone, if there
// is an OnError to hear of it.
//
// Tests need no network: package websockettest has pairs of connections in memory, and
// a Dialer that reaches an http.Handler there, also in bubbles of testing/synctest.
//
// # Messages
//
// A message is text or binary. Text that comes in is UTF-8: a message that is
// not fails the connection on its first bad byte with close code 1007 (RFC 6455
// §8.1), unless InsecureSkipUTF8Check is set. Text that goes out is taken as it
// is. WriteMessage sends one frame; a writer of NextWriter sends fragments if
// the message is more than its buffer holds. The reader does not see frames.
//
// # Control frames
//
// Pings, pongs and close frames are dealt with by the read methods, so a
// program must keep reading, even if it expects no messages. Unless handlers
// are set, pings are answered, pongs are ignored, and a close frame is answered
// and returned from the read as a *[CloseError]. A ping that comes while
// another goroutine is writing is answered in turn with the writes that wait,
// the newest one only if there came several. The goroutine that does so, and that of a
// [SendQueue] while something is queued, are the only ones that the library ever starts for
// a connection that is open.
//
// # Concurrency
//
//	method                                     callers at a time
//	ReadMessage, AppendMessage, NextReader,    one; another gets an error
//	  and the Read of its reader
//	WriteMessage, WriteControl, WriteJSON,     any number; data messages are
//	  WritePreparedMessage, those of           not mixed with each other
//	  SendQueue
//	NextWriter, up to its writer's Close       one; a second NextWriter ends the
//	                                           open message where it is
//	all other methods                          any number
//
// Handlers run inside the read method that met the frame. They may write, close
// the connection and set handlers, limits and deadlines; a read in them returns
// an error. A handler that panics leaves nothing locked and nothing lost.
//
// # Errors
//
// The first error that ends reading is what every later read returns, and
// likewise for writing; the two halves are independent. When the peer breaks
// the protocol, the read returns a *[ProtocolError] and the peer is told the
// code. When its bytes end without a close frame, the read returns a
// *CloseError with code 1006. After [Conn.Close], errors.Is(err, net.ErrClosed)
// is true for every later read and write, unless that half had failed before.
//
// A dial that the server answers with anything but an upgrade returns
// [ErrBadHandshake] and the response; one that gets no response, the error of
// the network, of TLS or of the context, or a *[DialError].
//
// # Deadlines
//
// A read that runs into the deadline of [Conn.SetReadDeadline] may be repeated:
// it goes on where it stopped, also in the middle of a message. A write that
// runs into its deadline may be repeated if nothing of its frame had gone out;
// otherwise the frame is cut and the error stays. Without
// [Conn.SetWriteDeadline], a write fails if 30 seconds do not bring the next 256
// KiB of its message on their way (64 KiB on a client that does not compress, since
// it masks step by step), or end its wait for other writes, after which it may be repeated;
// WriteTimeout of the Upgrader or Dialer is for another time than that.
//
// # Contexts
//
// [Conn.ReadMessageContext] and [Conn.WriteMessageContext] end with a context as they do at a deadline, and
// return ctx.Err(). A read may be repeated. So may a write, unless the error is also [ErrFrameCut]: then part of
// its frame went out. [Conn.Messages] has what arrives ranged over. The deadlines hold beside a context.
//
// # Peers that are gone
//
// TCP does not notice a peer that has lost its power or its network until something is sent, and
// then only after many minutes. With a [Keepalive] the Upgrader or Dialer sends pings to peers that are silent,
// and reads end with [ErrKeepaliveTimeout] if they stay silent. [Conn.Ping] asks once, and says how long it took.
//
// # Statistics
//
// With CollectStats, [Conn.Stats] has messages and bytes each way, on the wire and without compression, pings, and
// the close code. Keepalive, WriteTimeout and CollectStats together cost a connection 96 bytes.
//
// # JSON and prepared messages
//
// [Conn.WriteJSON] and [Conn.ReadJSON] send and receive a value in a message. A
// [PreparedMessage] is compressed once and sent to many connections with
// [Conn.WritePreparedMessage].
//
// # Sending without waiting
//
// The write methods wait for the peer. A [SendQueue] does not: what the transport takes at
// once goes out at once, and the rest is queued, within bounds, beyond which it waits after
// all, drops messages, or closes the connection, as [QueuePolicy] says. Nothing is kept for a
// connection to which nothing is queued. [Broadcast] sends a prepared message by any number
// of queues, none of which delays the others.
//
// [NetConn] makes a net.Conn of a connection, for programs that want a stream of bytes. What
// it writes goes by a queue, so its write deadlines, too, can be survived.
//
// # Compression
//
// Messages are compressed by permessage-deflate where both sides want it: set
// EnableCompression of the Upgrader or Dialer, or [Compression] to say more. By
// itself it has each message stand alone, so a connection keeps nothing, and
// messages of a few hundred bytes become a quarter smaller. With context takeover
// a message refers to earlier ones, and small messages that are like each other
// become half to a third of their size. Of 10,000 connections that take 12 bits
// of context over both ways, each keeps 6 KiB to send and 4 KiB to receive once
// it has done so: 100 MiB. Small messages, and those that do not become smaller,
// are sent as they are. [Conn.EnableWriteCompression] turns it off for the
// messages that follow, for example those that were compressed before.
//
// # Proxies
//
// [DefaultDialer] asks the environment for a proxy, other Dialers their Proxy
// field. HTTP proxies, in the clear or over TLS, and SOCKS5 are spoken.
//
// # Closing
//
// [Conn.Close] closes the transport at once. [Conn.CloseContext] does the closing handshake first: it sends
// a close frame and waits for the peer's (RFC 6455 §7.1.2). By hand, send a CloseMessage with
// [FormatCloseMessage], and read until the peer's own arrives as a *CloseError. After a close frame was sent,
// writes return [ErrCloseSent].
//
// # Limits
//
// A message above [Conn.SetReadLimit] fails the connection with close code 1009
// and [ErrReadLimit]. The limit is on from the start: 1 MiB where we are the
// server, 32 MiB where we are the client. The memory that a message takes
// follows the bytes that have come: 16 KiB with the first ones, four times as
// many later, whatever length its header declares. For a compressed message the
// limit is for what comes out of it, and the memory follows that.
//
// # Buffers
//
// An idle connection has no buffers. Bytes are read into 16 KiB that are taken
// from a pool when they are there, 64 KiB behind a frame of more than 16, and given
// back when they were consumed;
// payloads of which 4 KiB or more are missing are read straight into their
// destination. So 10,000 connections of which 200 are in the middle of a small
// message hold 200 buffers, 3.2 MiB, and not 10,000. ReadBufferSize is accepted
// and not used.
//
// A frame of up to 64 KiB (16 on a server's transport that is not a socket) is put
// together in a pooled buffer and sent with one Write of the transport; of a larger one the rest follows from the caller's
// memory, or on a client, which has to mask it, through the buffer. A writer of
// NextWriter holds a buffer from NextWriter to Close: 16 KiB, or more if
// WriteBufferSize is more and the message needs it. What does not fit is sent,
// together with the Write that did not fit, as a fragment: 40,000 bytes in
// pieces of 1,000 go out in frames of 17,000, 17,000 and 6,000 bytes, and with a
// WriteBufferSize of 40,000 in one. Of a compressed message each fragment is what
// was gathered, and no more. WriteMessage does not depend on it.
//
// A handler that returns after Upgrade, and leaves the connection to a goroutine
// of its own, as a [Server] does, gives back the HTTP server's stack and request.
//
// # Messages that go out together
//
// Small messages, up to 16 KiB, that wait for the same write go out in one piece, so many
// goroutines that write to one connection cost less than their writes. And when many
// messages have come in one piece, the answers go out in one: a small message that is
// written while a further message is complete and ready to be read is kept for the next.
// It goes out with that, before any other frame, before a read waits for more to come,
// with Close, and after 100 µs at the latest. If it cannot be sent, the next write
// returns the error. [Conn.NetConn] ends this for its connection, since what is written
// past the library must not overtake.
//
// # Origin
//
// A browser lets any page connect to any host and names the page's origin in
// the request. By default, a request whose Origin differs from its Host is
// refused with status 403; [Upgrader.CheckOrigin] decides otherwise.
//
// Behind a reverse proxy this needs the Host that the browser has sent, with its
// port. HAProxy passes it on. nginx must be told to: proxy_set_header Host
// $http_host; what it sends by itself is the name of the server behind it, and
// $host has no port. Where the Host has to be another one, CheckOrigin must
// compare the Origin with the names of the site. A proxy that ends TLS needs
// nothing: an https page may talk to a plain server.
package websocket
