package httpfield_test

import (
	"fmt"
	"mime"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/httpfield"
)

type (
	ext   = httpfield.Extension
	param = httpfield.Param
)

func TestElements(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []string
		want   []string
		ok     bool
	}{
		{"no header", nil, nil, true},
		{"empty header", []string{""}, nil, true},
		{"only commas and white space", []string{" ,,\t, "}, nil, true},
		{"one", []string{"chat"}, []string{"chat"}, true},
		{"two", []string{"chat, superchat"}, []string{"chat", "superchat"}, true},
		{"no space", []string{"a,b"}, []string{"a", "b"}, true},
		{"tabs and empty elements", []string{",\ta\t,, b ,"}, []string{"a", "b"}, true},
		{"lines keep their order", []string{"c, a", "", "b"}, []string{"c", "a", "b"}, true},
		{"case and duplicates kept", []string{"A, a", "A"}, []string{"A", "a", "A"}, true},
		{"every kind of token byte", []string{"!#$%&'*+-.^_`|~09azAZ"}, []string{"!#$%&'*+-.^_`|~09azAZ"}, true},
		{"inner space", []string{"a b"}, []string{"a b"}, true},
		{"one bad spoils all", []string{"a, b", "c, d\x01e"}, nil, false},
		{"quotes", []string{`"a"`}, []string{`"a"`}, true},
		{"parameter", []string{"a;q=1"}, []string{"a;q=1"}, true},
		{"NUL", []string{"a\x00"}, nil, false},
		{"DEL", []string{"\x7f"}, nil, false},
		{"CR LF is no white space", []string{"a\r\n"}, nil, false},
		{"vertical tab is no white space", []string{"a,\v"}, nil, false},
		{"Latin-1 byte", []string{"caf\xe9"}, []string{"caf\xe9"}, true},
		{"UTF-8", []string{"café"}, []string{"café"}, true},
		{"Kelvin sign", []string{"\u212a"}, []string{"\u212a"}, true},
		{"no-break space is no white space", []string{"a\u00a0"}, []string{"a\u00a0"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := httpfield.Elements(c.values)
			require.Equal(t, c.ok, ok)
			require.Equal(t, c.want, got)
		})
	}
}

func TestElementsCap(t *testing.T) {
	many := strings.Repeat("a,", 256)
	got, ok := httpfield.Elements([]string{many})
	require.True(t, ok)
	require.Len(t, got, 256)
	for _, values := range [][]string{{many + "b"}, {many, "b"}} {
		got, ok = httpfield.Elements(values)
		require.False(t, ok)
		require.Nil(t, got)
	}
}

func TestParseExtensions(t *testing.T) {
	deflate := []ext{{Name: "permessage-deflate"}}
	for _, c := range []struct {
		name   string
		values []string
		want   []ext
	}{
		{"no header", nil, nil},
		{"empty header", []string{""}, nil},
		{"only white space and commas", []string{" \t", ", ,"}, nil},
		{"bare", []string{"permessage-deflate"}, deflate},
		{"white space and empty elements around", []string{" ,\tpermessage-deflate , "}, deflate},
		{"what browsers send", []string{"permessage-deflate; client_max_window_bits"}, []ext{
			{Name: "permessage-deflate", Params: []param{{Name: "client_max_window_bits"}}},
		}},
		{"fallback offers, RFC 7692 §7.1.3", []string{
			"permessage-deflate; client_max_window_bits; server_max_window_bits=10, permessage-deflate; client_max_window_bits",
		}, []ext{
			{Name: "permessage-deflate", Params: []param{
				{Name: "client_max_window_bits"}, {Name: "server_max_window_bits", Value: "10", HasValue: true},
			}},
			{Name: "permessage-deflate", Params: []param{{Name: "client_max_window_bits"}}},
		}},
		{"lines keep their order, RFC 6455 §9.1", []string{"foo", "bar; baz=2"}, []ext{
			{Name: "foo"}, {Name: "bar", Params: []param{{Name: "baz", Value: "2", HasValue: true}}},
		}},
		{"white space between all parts", []string{"a ;\tb\t= c\t; d , e"}, []ext{
			{Name: "a", Params: []param{{Name: "b", Value: "c", HasValue: true}, {Name: "d"}}}, {Name: "e"},
		}},
		{"no white space at all", []string{"a;b=c;d,e"}, []ext{
			{Name: "a", Params: []param{{Name: "b", Value: "c", HasValue: true}, {Name: "d"}}}, {Name: "e"},
		}},
		{"quoted", []string{`a; b="10" ; c= "x"`}, []ext{
			{Name: "a", Params: []param{{Name: "b", Value: "10", HasValue: true}, {Name: "c", Value: "x", HasValue: true}}},
		}},
		{"escapes", []string{`a; b="\1\0\a!"`}, []ext{
			{Name: "a", Params: []param{{Name: "b", Value: "10a!", HasValue: true}}},
		}},
		{"case and duplicates kept", []string{"A; B=C; b=c; B"}, []ext{
			{Name: "A", Params: []param{{Name: "B", Value: "C", HasValue: true}, {Name: "b", Value: "c", HasValue: true}, {Name: "B"}}},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := httpfield.ParseExtensions(c.values)
			require.True(t, ok)
			require.Equal(t, c.want, got)
		})
	}
}

func TestParseExtensionsMalformed(t *testing.T) {
	for _, v := range []string{
		";", "=", `"`, `"a"`, "a b", "a/b", "a=b", "(a)", "a\x00", "a\x7f", "\xe9", "é", "a\r\n", "a\v",
		"a;", "a; ", "a;,b", "a;;b", ";a", ", ;a", "a; b c", "a; b c=d", "a; =c", `a; "b"`, "a; b/c",
		"a; b=", "a; b= ", "a; b=,c", "a; b=;c", "a; b==c", "a; b=c=d", "a; b=c d", "a; b=c/d", "a; b=\xff",
		`a; b="`, `a; b="c`, `a; b=""`, `a; b="c d"`, `a; b=" c"`, `a; b="c,d"`, `a; b="c;d"`, `a; b="c=d"`,
		`a; b="c"d`, `a; b=c"d"`, `a; b="c""d"`, `a; b="c" d`, `a; b='c d'`, "a; b=\"\xe9\"", "a; b=\"\x00\"",
		`a; b="\`, `a; b="\"`, `a; b="\""`, `a; b="\\"`, `a; b="c\`, `a; b="c\"`, `a; b="\ "`, `a; b="\,"`, `a; b=\c`, `a\b`,
	} {
		t.Run(v, func(t *testing.T) {
			for _, values := range [][]string{{v}, {"good; x=1", v}, {v, "good"}, {"good, " + v}} {
				got, ok := httpfield.ParseExtensions(values)
				require.False(t, ok, "%q", values)
				require.Nil(t, got)
				_, ok = oracleExtensions(values)
				require.False(t, ok, "the oracle: %q", values)
			}
		})
	}
}

// A quoted string, or anything else, does not go on in the next line, for the comma that
// joins the lines cannot be part of a token.
func TestParseExtensionsAcrossLines(t *testing.T) {
	for _, values := range [][]string{{`a; b="c`, `d"`}, {"a;", "b"}, {"a; b=", "c"}, {`a; b="c\`, `"`}} {
		_, ok := httpfield.ParseExtensions(values)
		require.False(t, ok, "%q", values)
	}
}

func TestParseExtensionsCaps(t *testing.T) {
	parse := func(values ...string) bool {
		got, ok := httpfield.ParseExtensions(values)
		require.Equal(t, ok, got != nil)
		return ok
	}
	full := strings.Repeat("x,", 32)
	require.True(t, parse(full), "32 extensions")
	require.True(t, parse(full+",,,", ",,"), "empty elements are none")
	require.False(t, parse(full+"x"), "33 extensions")
	require.False(t, parse(full, "x"), "33 extensions in two lines")

	half := "x" + strings.Repeat(";p", 128)
	require.True(t, parse("x"+strings.Repeat(";p", 256)), "256 parameters of one extension")
	require.False(t, parse("x"+strings.Repeat(";p", 257)), "257 parameters of one extension")
	require.True(t, parse(half+","+half), "256 parameters of two")
	require.True(t, parse(half, half, "x"), "and one extension more")
	require.False(t, parse(half, half+";p"), "257 parameters of two")
	require.False(t, parse(half, half, "x;p"), "257 parameters of three")
}

// hostile makes headers of n bytes that invite a parser to look back, to look ahead or to
// pile things up.
func hostile(n int) map[string][]string {
	fill := func(s string) string { return strings.Repeat(s, n/len(s)+1)[:n] }
	return map[string][]string{
		"commas":            {fill(",")},
		"spaces":            {fill(" ")},
		"spaces and commas": {fill("  \t,")},
		"quotes":            {fill(`"`)},
		"semicolons":        {fill(";")},
		"equal signs":       {fill("=")},
		"backslashes":       {fill(`\`)},
		"one token":         {fill("a")},
		"tokens":            {fill("a,")},
		"parameters":        {"a" + fill(";b")},
		"values":            {"a" + fill(`;b="c"`)},
		"empty parameters":  {"a; b" + fill(" ;")},
		"open quotes":       {"a" + fill(`;b="`)},
		"one open quote":    {`a; b="` + fill("c")},
		"escapes":           {`a; b="` + fill(`\c`) + `"`},
		"open escapes":      {`a; b="` + fill(`\\`)},
		"space before end":  {"a" + fill(" ") + "b"},
		"space in value":    {"a; b=" + fill(" ") + "c" + fill(" ")},
		"high bytes":        {fill("\xff")},
		"NULs":              {fill("\x00")},
		"empty lines":       make([]string, n),
		"comma lines":       strings.Split(fill(",\n"), "\n"),
	}
}

var parsers = map[string]func([]string){
	"Elements":        func(v []string) { httpfield.Elements(v) },
	"ParseExtensions": func(v []string) { httpfield.ParseExtensions(v) },
}

// What is allocated is bounded by the caps, not by the size of the header. The escapes of
// one value are the exception: it is copied, once.
func TestHostileAllocations(t *testing.T) {
	for parser, parse := range parsers {
		for _, n := range []int{64 << 10, 128 << 10} {
			for name, values := range hostile(n) {
				allocs := testing.AllocsPerRun(3, func() { parse(values) })
				// Doubling slices up to 256 elements: 9 for tokens, or 9 parameters and 6 extensions.
				require.LessOrEqual(t, allocs, 20.0, "%s, %s, %d bytes", parser, name, n)
			}
		}
	}
}

// Sixteen times the bytes may take sixteen times as long, not 256 times. Four times that
// is allowed, and a millisecond, so that a busy machine does not fail the test.
func TestHostileTimeIsLinear(t *testing.T) {
	const n = 16 << 10
	took := func(parse func([]string), values []string) time.Duration {
		start := time.Now()
		parse(values)
		return time.Since(start)
	}
	small, large := hostile(n), hostile(16*n)
	for parser, parse := range parsers {
		for name := range small {
			// The best of as many rounds as it takes on a machine that has other things to
			// do. Time that is quadratic is 256 times as long in each of them.
			a, b := time.Hour, time.Hour
			for round := 0; round < 3 || round < 100 && b > 64*a+time.Millisecond; round++ {
				a, b = min(a, took(parse, small[name])), min(b, took(parse, large[name]))
			}
			require.LessOrEqual(t, b, 64*a+time.Millisecond, "%s, %s: %v for %d bytes", parser, name, a, n)
		}
	}
}

var (
	tokenRE   = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
	controlRE = regexp.MustCompile(`[\x00-\x08\x0a-\x1f\x7f]`)
	quotedRE  = regexp.MustCompile("^\"(?:\\\\?[!#$%&'*+.^_`|~0-9A-Za-z-])+\"$")
	escapeRE  = regexp.MustCompile(`\\(.)`)
)

// oracleElements joins the lines, as RFC 9110 §5.3 has it, splits and matches.
func oracleElements(values []string) (tokens []string, ok bool) {
	for _, e := range strings.Split(strings.Join(values, ", "), ",") {
		if e = strings.Trim(e, " \t"); e == "" {
			continue
		}
		if controlRE.MatchString(e) {
			return nil, false
		}
		tokens = append(tokens, e)
	}
	return tokens, len(tokens) <= 256
}

// oracleExtensions may split at every separator: none is a token byte, so in a quoted
// string each is an error all the same, and its halves have one quote each.
func oracleExtensions(values []string) (extensions []ext, ok bool) {
	params := 0
	for _, element := range strings.Split(strings.Join(values, ", "), ",") {
		parts := strings.Split(element, ";")
		for i := range parts {
			parts[i] = strings.Trim(parts[i], " \t")
		}
		if len(parts) == 1 && parts[0] == "" {
			continue
		}
		if !tokenRE.MatchString(parts[0]) {
			return nil, false
		}
		e := ext{Name: parts[0]}
		for _, part := range parts[1:] {
			name, value, hasValue := strings.Cut(part, "=")
			name, value = strings.Trim(name, " \t"), strings.Trim(value, " \t")
			if !tokenRE.MatchString(name) {
				return nil, false
			}
			switch {
			case !hasValue, tokenRE.MatchString(value):
			case quotedRE.MatchString(value):
				value = escapeRE.ReplaceAllString(strings.Trim(value, `"`), "$1")
			default:
				return nil, false
			}
			e.Params = append(e.Params, param{Name: name, Value: value, HasValue: hasValue})
		}
		params += len(e.Params)
		extensions = append(extensions, e)
	}
	return extensions, len(extensions) <= 32 && params <= 256
}

// The ways to write a value: as a token, as a quoted string, with a backslash in it.
const (
	plain   = "=%s"
	quoted  = `="%s"`
	escaped = `="\%s"`
)

// format writes extensions as a header value, their values in one of the ways above.
func format(extensions []ext, way string) string {
	var b strings.Builder
	for i, e := range extensions {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(e.Name)
		for _, p := range e.Params {
			b.WriteString("; " + p.Name)
			if p.HasValue {
				fmt.Fprintf(&b, way, p.Value)
			}
		}
	}
	return b.String()
}

// mimeAgrees compares e with what package mime makes of the same text. It lowers names,
// wants a value for each parameter and each name once, gives "*" in a name the meaning of
// RFC 2231, and takes a backslash before a token byte for itself; what has none of these
// must come out the same.
func mimeAgrees(t *testing.T, e ext) {
	t.Helper()
	want := make(map[string]string)
	for _, p := range e.Params {
		name := strings.ToLower(p.Name)
		if _, twice := want[name]; twice || !p.HasValue || strings.Contains(p.Name, "*") {
			return
		}
		want[name] = p.Value
	}
	for _, way := range []string{plain, quoted} {
		text := format([]ext{e}, way)
		name, params, err := mime.ParseMediaType(text)
		require.NoError(t, err, "%q", text)
		require.Equal(t, strings.ToLower(e.Name), name, "%q", text)
		require.Equal(t, want, params, "%q", text)
	}
}

// checkValues compares both parsers with the oracles, and what they return with what they
// make of it once it is written out again.
func checkValues(t *testing.T, values []string) {
	t.Helper()
	tokens, ok := httpfield.Elements(values)
	wantTokens, wantOK := oracleElements(values)
	require.Equal(t, wantOK, ok, "Elements(%q)", values)
	if ok {
		require.Equal(t, wantTokens, tokens, "Elements(%q)", values)
		again, ok := httpfield.Elements([]string{strings.Join(tokens, ",")})
		require.True(t, ok, "Elements(%q)", values)
		require.Equal(t, tokens, again, "Elements(%q)", values)
	} else {
		require.Nil(t, tokens, "Elements(%q)", values)
	}

	extensions, ok := httpfield.ParseExtensions(values)
	wantExtensions, wantOK := oracleExtensions(values)
	require.Equal(t, wantOK, ok, "ParseExtensions(%q)", values)
	if !ok {
		require.Nil(t, extensions, "ParseExtensions(%q)", values)
		return
	}
	require.Equal(t, wantExtensions, extensions, "ParseExtensions(%q)", values)
	for _, way := range []string{plain, quoted, escaped} {
		again, ok := httpfield.ParseExtensions([]string{format(extensions, way)})
		require.True(t, ok, "%q", values)
		require.Equal(t, extensions, again, "%q", values)
	}
	for _, e := range extensions {
		mimeAgrees(t, e)
	}
}

// Every text of up to six bytes over an alphabet that has one of each kind.
func TestAllShortValues(t *testing.T) {
	const alphabet = "a,;=\"\\ \xe9"
	var walk func(prefix string)
	walk = func(prefix string) {
		values := []string{prefix}
		tokens, ok := httpfield.Elements(values)
		wantTokens, wantOK := oracleElements(values)
		extensions, extOK := httpfield.ParseExtensions(values)
		wantExtensions, wantExtOK := oracleExtensions(values)
		if ok != wantOK || len(tokens) != len(wantTokens) || extOK != wantExtOK || len(extensions) != len(wantExtensions) {
			t.Fatalf("%q: %q %v, %v %v", prefix, tokens, ok, extensions, extOK)
		}
		if extOK {
			checkValues(t, values)
		}
		if len(prefix) == 6 {
			return
		}
		for i := range len(alphabet) {
			walk(prefix + alphabet[i:i+1])
		}
	}
	walk("")
}

func TestOracleOnHostileValues(t *testing.T) {
	for name, values := range hostile(1000) {
		t.Run(name, func(t *testing.T) { checkValues(t, values) })
	}
}

func FuzzLists(f *testing.F) {
	for _, seed := range []string{
		"", "chat, superchat", "permessage-deflate; client_max_window_bits; server_max_window_bits=10, x",
		"foo\nbar; baz=2", `a; b="c\d" ; e = f,, "`, "a ;\tb\t= c\t; d , e", `a; b="\`, "é;=\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, lines string) {
		checkValues(t, strings.Split(lines, "\n"))
	})
}
