package websocket

import (
	"crypto/md5"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// A pxProgram is somebody else's proxy, which runs as a process of its own.
type pxProgram struct {
	name, debian string // of the program and its package
	scheme       string
	auth         bool // as pxUser with pxPassword

	// configure writes what the program needs into a folder and returns its
	// arguments.
	configure func(t *testing.T, dir, port string, certificate tls.Certificate) []string

	refuses func(t *testing.T, given *url.Userinfo, err error)
	failed  func(t *testing.T, err error) // nothing listens where it should connect to
}

// Letters are what all of the programs take; squid has users in lower case.
const pxUser, pxPassword = "aladdin", "OpenSesame"

func pxWrite(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	return path
}

// pxRefuses is an HTTP proxy that has one status for no credentials and another
// for wrong ones.
func pxRefuses(none, wrong int) func(*testing.T, *url.Userinfo, error) {
	return func(t *testing.T, given *url.Userinfo, err error) {
		want := wrong
		if given == nil {
			want = none
		}
		var refusal *ProxyError
		require.ErrorAs(t, err, &refusal)
		require.Equal(t, want, refusal.StatusCode)
		require.True(t, strings.HasPrefix(refusal.Status, strconv.Itoa(want)+" "), refusal.Status)
	}
}

func pxFailed(t *testing.T, err error) {
	var refusal *ProxyError
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, 5, refusal.StatusCode/100, refusal.Status)
}

func pxTinyproxy(auth bool) pxProgram {
	return pxProgram{
		name: "tinyproxy", debian: "tinyproxy-bin", scheme: "http", auth: auth,
		configure: func(t *testing.T, dir, port string, _ tls.Certificate) []string {
			config := "Listen 127.0.0.1\nPort " + port + "\nAllow 127.0.0.1\nTimeout 60\nMaxClients 20\n"
			if auth {
				config += fmt.Sprintf("BasicAuth %s %s\n", pxUser, pxPassword)
			}
			return []string{"-d", "-c", pxWrite(t, dir, "tinyproxy.conf", config)}
		},
		refuses: pxRefuses(http.StatusProxyAuthRequired, http.StatusUnauthorized),
		failed:  pxFailed,
	}
}

func pxSquid(auth bool) pxProgram {
	return pxProgram{
		name: "squid", debian: "squid-openssl", scheme: "https", auth: auth,
		configure: func(t *testing.T, dir, port string, certificate tls.Certificate) []string {
			// Started by root it turns into another user, who must get here.
			require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
			key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
			require.NoError(t, err)
			lines := []string{
				"https_port 127.0.0.1:" + port +
					" tls-cert=" + pxWrite(t, dir, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}))) +
					" tls-key=" + pxWrite(t, dir, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))),
				"pid_filename none", "access_log none", "cache_log /dev/null", "cache_store_log none", "coredump_dir none",
				"netdb_filename none", "pinger_enable off", "cache deny all", "cache_mem 1 MB", "max_filedescriptors 256",
				"dns_nameservers 127.0.0.1", "shutdown_lifetime 0 seconds", "visible_hostname localhost",
			}
			if auth {
				sum := md5.Sum([]byte(pxPassword)) // what its helper knows besides crypt
				users := pxWrite(t, dir, "users", pxUser+":"+hex.EncodeToString(sum[:])+"\n")
				lines = append(lines, "auth_param basic program /usr/lib/squid/basic_ncsa_auth "+users, "auth_param basic children 1",
					"acl known proxy_auth REQUIRED", "http_access allow known", "http_access deny all")
			} else {
				lines = append(lines, "http_access allow localhost", "http_access deny all")
			}
			// Its shared memory has the name of the service.
			return []string{"-N", "-n", "websocket" + port, "-d", "1", "-f", pxWrite(t, dir, "squid.conf", strings.Join(lines, "\n")+"\n")}
		},
		refuses: pxRefuses(http.StatusProxyAuthRequired, http.StatusProxyAuthRequired),
		failed:  pxFailed,
	}
}

func pxMicrosocks(auth bool) pxProgram {
	return pxProgram{
		name: "microsocks", debian: "microsocks", scheme: "socks5", auth: auth,
		configure: func(_ *testing.T, _, port string, _ tls.Certificate) []string {
			args := []string{"-i", "127.0.0.1", "-p", port}
			if auth {
				args = append(args, "-u", pxUser, "-P", pxPassword)
			}
			return args
		},
		refuses: func(t *testing.T, given *url.Userinfo, err error) {
			var e *net.OpError
			require.ErrorAs(t, err, &e)
			if given == nil {
				require.ErrorContains(t, e.Err, "no acceptable authentication methods")
			} else {
				require.ErrorContains(t, e.Err, "username/password authentication failed")
			}
		},
		failed: func(t *testing.T, err error) {
			var e *net.OpError
			require.ErrorAs(t, err, &e)
			require.ErrorContains(t, e.Err, "connection refused")
		},
	}
}

// program is what runs, with the certificate for TLS.
func (p pxProgram) program(certificate tls.Certificate) testnet.Program {
	return testnet.Program{Name: p.name, Debian: p.debian, Configure: func(t *testing.T, dir, port string) []string {
		return p.configure(t, dir, port, certificate)
	}}
}

// pxListen is a server at an address of this machine, that is closed with the
// test, with and without TLS.
func pxListen(t *testing.T, certificate tls.Certificate) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { pxTarget(conn, &tls.Config{Certificates: []tls.Certificate{certificate}}) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

// The Dialer through proxies as people run them: a tunnel for ws and wss, the
// right errors for wrong credentials and where the proxy finds nobody.
func TestProxyPrograms(t *testing.T) {
	for _, auth := range []bool{false, true} {
		for _, p := range []pxProgram{pxTinyproxy(auth), pxSquid(auth), pxMicrosocks(auth)} {
			t.Run(fmt.Sprintf("%s/auth=%t", p.name, auth), func(t *testing.T) {
				certificate, roots := testCertificate(t)
				program := p.program(certificate)
				program.Find(t)
				checkBuffers(t)
				testnet.CheckGoroutines(t)
				target := pxListen(t, certificate)
				through := url.URL{Scheme: p.scheme, Host: program.Start(t)}
				dial := func(user *url.Userinfo, u string) (*Conn, error) {
					through.User = user
					d := &Dialer{Proxy: http.ProxyURL(&through), TLSClientConfig: &tls.Config{RootCAs: roots}, HandshakeTimeout: time.Minute}
					ws, _, err := d.Dial(u, nil)
					return ws, err
				}
				var right *url.Userinfo
				if auth {
					right = url.UserPassword(pxUser, pxPassword)
				}
				for _, scheme := range []string{"ws://", "wss://"} {
					ws, err := dial(right, scheme+target+"/chat")
					require.NoError(t, err)
					require.Equal(t, through.Host, ws.RemoteAddr().String())
					require.IsType(t, &net.TCPConn{}, belowTLS(ws.NetConn()))
					pxExchange(t, ws)
					require.NoError(t, ws.WriteControl(CloseMessage, FormatCloseMessage(CloseNormalClosure, "bye"), time.Now().Add(time.Minute)))
					_, _, err = ws.ReadMessage()
					require.True(t, IsCloseError(err, CloseNormalClosure), "%v", err)
					_ = ws.Close() // TLS says goodbye to a proxy that may have gone with the server
				}
				if auth {
					for _, wrong := range []*url.Userinfo{
						nil, url.UserPassword(pxUser, "wrong"), url.UserPassword("Ali", pxPassword), url.User(pxUser),
					} {
						_, err := dial(wrong, "wss://"+target+"/")
						p.refuses(t, wrong, err)
					}
				}
				l, err := net.Listen("tcp", "127.0.0.1:0")
				require.NoError(t, err)
				nobody := l.Addr().String()
				require.NoError(t, l.Close())
				_, err = dial(right, "ws://"+nobody+"/")
				p.failed(t, err)
			})
		}
	}
}

// The certificate of a real HTTPS proxy counts.
func TestProxyProgramOfNobodyWeTrust(t *testing.T) {
	p := pxSquid(false)
	certificate, _ := testCertificate(t)
	program := p.program(certificate)
	program.Find(t)
	testnet.CheckGoroutines(t)
	through := &url.URL{Scheme: p.scheme, Host: program.Start(t)}
	d := &Dialer{Proxy: http.ProxyURL(through), TLSClientConfig: &tls.Config{RootCAs: x509.NewCertPool()}}
	_, _, err := d.Dial(hsURL, nil)
	var unknown x509.UnknownAuthorityError
	require.True(t, errors.As(err, &unknown), "%v", err)
}
