package websocket

import (
	"net"
	"sync/atomic"
	"time"
)

// Read limits of a connection on which SetReadLimit was not called.
const (
	defaultServerReadLimit = 1 << 20
	defaultClientReadLimit = 32 << 20
)

// A Conn is a WebSocket connection. It comes from [Upgrader.Upgrade] or
// [Dialer.Dial].
//
// One goroutine at a time may read ([Conn.ReadMessage], [Conn.AppendMessage],
// [Conn.NextReader] and the reader that it returns); a second one gets an
// error. All other methods may be called from any number of goroutines, but a
// connection has one open writer of [Conn.NextWriter] at a time. A program must
// keep reading: pings are answered, and close frames and errors
// seen, by the read methods only.
type Conn struct {
	// Set by newConn and not changed after.
	transport    transport
	subprotocol  *string       // nil: none
	writeOptions *writeOptions // nil: the defaults
	contexts     *contexts     // nil: no context is taken over
	monitor      *monitor      // nil: it is not kept alive, and nothing is counted
	server       bool
	skipUTF8     bool
	sendBits     uint8 // of the window of compressed messages; 0: they are not compressed
	receiveBits  uint8
	writeTimeout uint32 // in milliseconds, for the next step of a write; 0: none

	// May be changed by any goroutine at any time.
	flags     atomic.Uint32          // connFlags
	level     atomic.Int32           // of SetCompressionLevel
	extras    atomic.Pointer[extras] // nil: none
	readLimit atomic.Int64           // 0: none

	in  readHalf
	out writeHalf
}

// connFlags are set once and stay, but for the last three.
const (
	isClosed     = 1 << iota // Close was called
	isClosing                // CloseContext waits for the read half
	isDraining               // and has it
	isSilent                 // the peer did not answer a keepalive's ping
	isUnreadable             // nothing can be read any more
	isFailed                 // we failed it, and told the peer why if that was possible
	plainSends               // EnableWriteCompression(false) was called
	isPinging                // a ping of the keepalive waits to go out
	isHandling               // the reader is in a handler of the program
)

func (c *Conn) is(flag uint32) bool { return c.flags.Load()&flag != 0 }

func (c *Conn) setFlag(flag uint32) { c.flags.Or(flag) }

// A connOptions is what newConn is told of a new connection.
type connOptions struct {
	server       bool
	skipUTF8     bool
	subprotocol  string
	writeOptions *writeOptions
	writeTimeout time.Duration // 0: the default; less: none
	keepalive    *Keepalive    // nil: none
	collectStats bool
	compression  *Compression // as it was agreed on; nil: none
	buffered     []byte       // what came behind the opening handshake; copied
}

func newConn(conn net.Conn, o connOptions) *Conn {
	c := &Conn{
		transport:    newTransport(conn),
		writeOptions: o.writeOptions,
		server:       o.server,
		skipUTF8:     o.skipUTF8,
		writeTimeout: inMilliseconds(o.writeTimeout),
	}
	if o.subprotocol != "" {
		c.subprotocol = &o.subprotocol
	}
	if o.keepalive != nil || o.collectStats {
		c.monitor = &monitor{keepalive: o.keepalive}
	}
	c.readLimit.Store(defaultClientReadLimit)
	if o.server {
		c.readLimit.Store(defaultServerReadLimit)
	}
	if o.compression != nil {
		c.startCompression(o.compression)
	}
	c.in.start(o.buffered)
	c.brought(len(o.buffered))
	o.keepalive.add(c)
	return c
}

// Subprotocol returns the subprotocol that both sides agreed on, or "".
func (c *Conn) Subprotocol() string {
	if c.subprotocol == nil {
		return ""
	}
	return *c.subprotocol
}

// NetConn returns the connection below this one: the very net.Conn that the
// handshake ran over. Reading from it or writing to it breaks the WebSocket
// connection; its deadlines are better set by the methods of Conn.
//
// The first call ends what the connection does to send small messages together
// (see [Conn.WriteMessage]), and waits up to 250 ms until those that are kept have gone
// out.
func (c *Conn) NetConn() net.Conn {
	c.stopCorking()
	return c.transport.Conn
}

// UnderlyingConn is [Conn.NetConn].
//
// Deprecated: use NetConn.
func (c *Conn) UnderlyingConn() net.Conn { return c.NetConn() }

// LocalAddr returns the local network address, or nil for a zero Conn.
func (c *Conn) LocalAddr() net.Addr {
	if c.transport.Conn == nil {
		return nil
	}
	return c.transport.LocalAddr()
}

// RemoteAddr returns the network address of the peer, or nil for a zero Conn.
func (c *Conn) RemoteAddr() net.Addr {
	if c.transport.Conn == nil {
		return nil
	}
	return c.transport.RemoteAddr()
}

// SetReadLimit sets the largest size of a message, in bytes of payload, that
// the read methods take; zero or less means that there is no limit. The
// default is 1 MiB on a server's connection and 32 MiB on a client's. A larger
// message fails the connection: the peer is sent close code 1009 and the read
// returns [ErrReadLimit]. The limit is looked at when a frame begins, so it
// holds for the frames that begin after the call.
//
// Of a compressed message it is the size once inflated, which is looked at all
// the time; on the wire it may be larger than the limit by a sixteenth and 64
// bytes.
func (c *Conn) SetReadLimit(limit int64) { c.readLimit.Store(max(limit, 0)) }
