package worker

import (
	"github.com/seed62ce5aa7/websocket/internal/bench/servers"
	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

// listen has a library echo, on a port of the loopback.
func (w *worker) listen(library string, mode traffic.Mode) (address string, err error) {
	l, err := servers.Find(library, servers.Compressing)
	if err != nil {
		return "", err
	}
	w.crowd = servers.NewCrowd(false)
	return l.Listen(servers.Style{Mode: mode}, w.crowd.Echo())
}
