package websocket

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A layer is what the files of one level may use. Calls go down only: edges,
// connection, transport, rules, leaves.
type layer struct {
	never []string // identifiers
}

const internalPath = "github.com/seed62ce5aa7/websocket/internal/"

var (
	// Bytes in, bytes out: no I/O, clock, randomness or logging, no Conn.
	leaf = layer{never: []string{"Conn", "Upgrader", "Dialer", "transport", "seam"}}

	// Functions of values; no sockets.
	rules = layer{never: []string{"Conn", "Upgrader", "Dialer", "transport", "seam"}}

	// The one way to the net.Conn.
	wait = layer{never: []string{"Upgrader", "Dialer", "readHalf", "writeHalf"}}

	// Locks and deadlines.
	connection = layer{never: []string{"Upgrader", "Dialer", "checkRequest", "checkResponse", "hijack"}}
)

// fileLayers has every file of the package: its layer and what it may import
// of the standard library and the modules.
var fileLayers = map[string]struct {
	layer
	imports []string
}{
	"doc.go": {leaf, nil},

	"errors.go": {leaf, []string{"errors", "fmt", "net", "os", "slices", "strconv"}},
	"frame.go":  {leaf, []string{"encoding/binary", "unicode/utf8"}},

	"mask.go":       {leaf, []string{"encoding/binary", "math/bits"}},
	"mask_amd64.go": {leaf, []string{internalPath + "cpu"}},
	"mask_asm.go":   {leaf, []string{"math/bits", "unsafe"}},
	"mask_noasm.go": {leaf, nil},

	"handshake.go": {rules, []string{"crypto/sha1", "encoding/base64", "errors", "fmt", "net/http", "net/textproto",
		"net/url", "slices", "strings", "golang.org/x/net/http/httpguts", internalPath + "httpfield"}},

	"compress.go": {rules, []string{"errors", "fmt", "strconv", "strings", internalPath + "httpfield"}},

	"transport.go": {wait, []string{"errors", "io", "net", "sync", "syscall"}},
	"inline.go":    {wait, []string{"net"}},
	"linger.go":    {wait, []string{"crypto/tls", "net", "time", internalPath + "bufpool"}},
	"raw_unix.go":  {wait, []string{"errors", "io", "net", "os", "sync", "syscall"}},
	"raw_other.go": {wait, []string{"syscall"}},

	"conn.go":          {connection, []string{"net", "sync/atomic", "time"}},
	"conn_batch.go":    {connection, []string{"time", internalPath + "bufpool"}},
	"conn_close.go":    {connection, []string{"context", "errors", "net", "time"}},
	"conn_context.go":  {connection, []string{"context", "errors", "fmt", "iter", "os"}},
	"conn_deadline.go": {connection, []string{"context", "sync", "time"}},
	"conn_extras.go":   {connection, nil},
	"conn_monitor.go":  {connection, []string{"sync/atomic"}},
	"conn_ping.go":     {connection, []string{"context", "crypto/rand", "slices", "sync", "time"}},
	"conn_start.go":    {connection, []string{"time", internalPath + "bufpool"}},
	"keepalive.go":     {connection, []string{"sync", "sync/atomic", "time"}},
	"stats.go":         {connection, []string{"log/slog"}},
	"conn_cork.go":     {connection, []string{"time", internalPath + "bufpool"}},
	"conn_queue.go":    {connection, []string{"time"}},
	"conn_compress.go": {connection, []string{"math", internalPath + "bufpool", internalPath + "deflate"}},
	"conn_handlers.go": {connection, []string{"time"}},
	"conn_inflate.go":  {connection, []string{"io", "math", "slices", "sync", internalPath + "bufpool", internalPath + "deflate"}},
	"conn_lead.go":     {connection, []string{"context", "sync", "time", internalPath + "bufpool"}},
	"conn_pong.go":     {connection, []string{internalPath + "bufpool"}},
	"conn_maskkey.go":  {connection, []string{"crypto/rand", "encoding/binary", "sync"}},
	"conn_inhand.go":   {connection, []string{"encoding/binary", internalPath + "utf8stream"}},
	"conn_message.go":  {connection, []string{"math"}},
	"conn_read.go":     {connection, []string{"io", "math", internalPath + "bufpool", internalPath + "utf8stream"}},
	"conn_readhalf.go": {connection, []string{"io", "sync", "sync/atomic", internalPath + "bufpool", internalPath + "utf8stream"}},
	"conn_reader.go":   {connection, []string{"io", "sync", "sync/atomic"}},
	"conn_write.go":    {connection, []string{"io", "math", "time", internalPath + "bufpool"}},
	"join.go":          {connection, []string{"io", "strings"}},
	"json.go":          {connection, []string{"bytes", "encoding/json", "io"}},
	"prepared.go":      {connection, []string{"bytes", "sync", internalPath + "bufpool", internalPath + "deflate"}},
	"conn_writer.go":   {connection, []string{"context", "io", "math", internalPath + "bufpool"}},
	"conn_try.go":      {connection, []string{internalPath + "bufpool"}},
	"queue.go":         {connection, []string{"bytes", "context", "errors", "net", "slices", "sync"}},
	"broadcast.go":     {connection, []string{"iter"}},
	"netconn.go":       {connection, []string{"context", "errors", "io", "net", "sync", "time", "unicode/utf8"}},

	"server.go": {layer{never: []string{"Dialer", "checkResponse"}},
		[]string{"bufio", "crypto/tls", "errors", "fmt", "io", "net", "net/http", "time", internalPath + "bufpool"}},
	"serve.go": {layer{never: []string{"Dialer", "checkResponse"}},
		[]string{"context", "fmt", "net", "net/http", "runtime/debug"}},
	"serve_conns.go": {layer{never: []string{"Upgrader", "Dialer"}},
		[]string{"context", "iter", "maps", "net/http", "slices", "sync"}},
	"serve_stats.go": {layer{never: []string{"Upgrader", "Dialer"}}, []string{"log/slog"}},
	"client.go": {layer{never: []string{"Upgrader", "checkRequest", "hijack"}},
		[]string{"bufio", "bytes", "context", "crypto/tls", "errors", "fmt", "io", "net", "net/http", "net/http/httptrace",
			"net/url", "time"}},
	"client_request.go": {layer{never: []string{"Upgrader", "checkRequest", "hijack"}},
		[]string{"crypto/rand", "encoding/base64", "fmt", "net/http", "net/textproto", "net/url", "slices", "strings",
			"golang.org/x/net/http/httpguts", internalPath + "httpfield"}},
	"redirect.go": {layer{never: []string{"Upgrader", "checkRequest", "hijack"}},
		[]string{"fmt", "maps", "net/http", "net/textproto", "net/url", "slices"}},
	"proxy.go": {layer{never: []string{"Upgrader", "checkRequest", "hijack"}},
		[]string{"bufio", "bytes", "context", "encoding/base64", "errors", "fmt", "io", "net", "net/http", "net/netip",
			"net/textproto", "net/url", "strings", "golang.org/x/net/proxy"}},
	"dial.go": {layer{never: []string{"Upgrader", "checkRequest", "hijack"}},
		[]string{"context", "crypto/tls", "errors", "fmt", "io", "net", "net/http/httptrace", "net/url", "slices",
			"golang.org/x/net/http/httpguts"}},
}

const maxFileLines = 450

func TestLayers(t *testing.T) {
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	checked := 0
	for _, e := range entries {
		name := e.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		t.Run(name, func(t *testing.T) { checkFile(t, name) })
		checked++
	}
	require.Len(t, fileLayers, checked, "a file of the table does not exist")
}

func checkFile(t *testing.T, name string) {
	rule, ok := fileLayers[name]
	require.True(t, ok, "the file has no layer")
	src, err := os.ReadFile(name)
	require.NoError(t, err)
	require.LessOrEqual(t, strings.Count(string(src), "\n"), maxFileLines, "the file is too long")

	file, err := parser.ParseFile(token.NewFileSet(), name, src, 0)
	require.NoError(t, err)
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		require.NoError(t, err)
		require.True(t, slices.Contains(rule.imports, path), "must not import %s", path)
	}
	require.Len(t, rule.imports, len(file.Imports), "the table allows an import that the file does not have")

	// A selector's identifier is another package's or a field's, so only the
	// bare ones count.
	selected := map[*ast.Ident]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			selected[n.Sel] = true
		case *ast.Ident:
			if !selected[n] && slices.Contains(rule.never, n.Name) {
				t.Errorf("must not use %s", n.Name)
			}
		}
		return true
	})
}

// The library prints nothing, to the program's own output or elsewhere.
func TestNothingIsPrinted(t *testing.T) {
	files, err := filepath.Glob("internal/*/*.go")
	require.NoError(t, err)
	own, err := filepath.Glob("*.go")
	require.NoError(t, err)
	checked := 0
	for _, name := range append(files, own...) {
		dir, _, _ := strings.Cut(strings.TrimPrefix(filepath.ToSlash(name), "internal/"), "/")
		if strings.HasSuffix(name, "_test.go") || slices.Contains([]string{"bench", "interop", "testnet", "moved"}, dir) {
			continue
		}
		checked++
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		for _, spec := range file.Imports {
			if spec.Path.Value != `"log/slog"` { // which has the types of values
				require.NotContains(t, spec.Path.Value, "log", "%s logs", name)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok {
					said := x.Name + "." + n.Sel.Name
					require.False(t, strings.HasPrefix(said, "fmt.Print") || said == "os.Stdout" || said == "os.Stderr", "%s: %s", name, said)
					require.NotContains(t, []string{"slog.Default", "slog.Log", "slog.Debug", "slog.Info", "slog.Warn", "slog.Error", "slog.New"}, said, name)
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.Ident); ok {
					require.NotContains(t, []string{"print", "println"}, f.Name, name)
				}
			}
			return true
		})
	}
	require.Greater(t, checked, 60)
}
