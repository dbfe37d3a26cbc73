package generator

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// A poller says which sockets are ready, without ever waiting for one: a client
// that slept would have to be woken by the server, at the server's expense.
type poller struct {
	fd     int
	events [512]unix.EpollEvent
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	return &poller{fd: fd}, err
}

func (p *poller) watch(how int, c *conn, events uint32) error {
	return unix.EpollCtl(p.fd, how, c.fd, &unix.EpollEvent{Events: events, Fd: int32(c.index)})
}

func (p *poller) ready() ([]unix.EpollEvent, error) {
	n, err := unix.EpollWait(p.fd, p.events[:], 0)
	if err == unix.EINTR {
		return nil, nil
	}
	return p.events[:max(n, 0)], err
}

// resolve returns the address as a socket wants it.
func resolve(address string) (family int, to unix.Sockaddr, err error) {
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return 0, nil, err
	}
	if ip := a.IP.To4(); ip != nil {
		return unix.AF_INET, &unix.SockaddrInet4{Port: a.Port, Addr: [4]byte(ip)}, nil
	}
	if ip := a.IP.To16(); ip != nil {
		return unix.AF_INET6, &unix.SockaddrInet6{Port: a.Port, Addr: [16]byte(ip)}, nil
	}
	return 0, nil, fmt.Errorf("generator: %q has no address", address)
}

// connect opens a socket, which on the loopback is done by the kernel alone and at
// once. When it is closed, both sides forget it at once: the ports of connections
// that ended in order are kept for a minute, and there are not so many.
func connect(family int, to unix.Sockaddr) (fd int, err error) {
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err = unix.Connect(fd, to); err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if err == nil {
		err = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	if err != nil {
		_ = unix.Close(fd)
		return 0, err
	}
	return fd, nil
}
