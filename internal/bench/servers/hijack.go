package servers

import (
	"io"
	"net/http"
)

// hijack is the limit for handshakes through net/http: a handler that takes the
// connection over, writes an answer that is always the same, and waits for the
// end. It does not echo.
var hijack = Library{Name: "hijack", Lax: true, Handler: hijackHandler}

func hijackHandler(style Style, on Events) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		nc, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		style.run(func() {
			defer nc.Close()
			c := bareConn{nc}
			_, err := io.WriteString(nc, switching)
			on.Opened(c)
			if err == nil {
				var p [16]byte
				_, err = nc.Read(p[:])
			}
			on.Closed(c, err)
		})
	})
}
