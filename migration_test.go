package websocket

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every name of ours that a migration guide has in its tables, behind the other library's, is
// declared.
func TestMigrationGuidesNameWhatExists(t *testing.T) {
	ours := declaredNames(t)
	code := regexp.MustCompile("`([^`]+)`")
	name := regexp.MustCompile(`^(?:websocket\.)?([A-Z]\w*(?:\.[A-Z]\w*)?)$`)
	for _, guide := range []string{"coder", "gobwas", "gws"} {
		text, err := os.ReadFile("docs/migrating-from-" + guide + ".md")
		require.NoError(t, err)
		rows, missing := 0, []string{}
		for line := range strings.Lines(string(text)) {
			if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| "+guide+" |") {
				continue
			}
			rows++
			cells := strings.Split(line, " | ")
			require.Len(t, cells, 3, line)
			if cells[1] != "—" {
				require.Regexp(t, "^`", cells[1], line)
			}
			for _, span := range code.FindAllStringSubmatch(cells[1]+cells[2], -1) {
				if m := name.FindStringSubmatch(span[1]); m != nil && !ours[m[1]] {
					missing = append(missing, m[1])
				}
			}
		}
		require.Greater(t, rows, 30, guide)
		require.Empty(t, missing, guide)
	}
}

// declaredNames are those of the package: "Name", and "Type.Name" of methods and fields.
func declaredNames(t *testing.T) map[string]bool {
	names := map[string]bool{}
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				of := ""
				if n.Recv != nil {
					receiver := n.Recv.List[0].Type
					if star, ok := receiver.(*ast.StarExpr); ok {
						receiver = star.X
					}
					if id, ok := receiver.(*ast.Ident); ok {
						of = id.Name + "."
					}
				}
				names[of+n.Name.Name] = true
				return false
			case *ast.ValueSpec:
				for _, id := range n.Names {
					names[id.Name] = true
				}
			case *ast.TypeSpec:
				names[n.Name.Name] = true
				if s, ok := n.Type.(*ast.StructType); ok {
					for _, field := range s.Fields.List {
						for _, id := range field.Names {
							names[n.Name.Name+"."+id.Name] = true
						}
					}
				}
			}
			return true
		})
	}
	return names
}
