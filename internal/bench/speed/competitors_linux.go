package main

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed62ce5aa7/websocket/internal/bench/host"
	"github.com/seed62ce5aa7/websocket/internal/bench/load"
	"github.com/seed62ce5aa7/websocket/internal/bench/servers"
	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

// A competitor is a library, or a command that serves.
type competitor struct {
	name    string
	library servers.Library
	command []string // instead of a library
	checks  bool     // text; it is not known of a command
}

// start starts its server.
func (c competitor) start(l *lab, o host.Order) (*host.Process, error) {
	if c.command != nil {
		return host.StartCommand(l.serverCPU, c.command...)
	}
	o.Library = c.library.Name
	return host.Start(o, l.serverCPU)
}

// target is where its server listens.
func (c competitor) target(p *host.Process, o host.Order) load.Target {
	return load.Target{Address: p.Address, Mode: o.Style.Mode, TLS: o.TLS, Bare: c.name == "bare"}
}

// limit reports whether it is no library, but a limit that they have.
func (c competitor) limit() bool { return c.name == "bare" || c.name == "hijack" }

// lacks reports whether its connections cannot be in that place. A command's are
// where they are.
func (c competitor) lacks(place servers.Place) bool {
	return slices.Contains(c.library.Without, place)
}

// compresses reports whether it may do so: of a command that is found out.
func (c competitor) compresses() bool {
	return c.command != nil || slices.Contains(c.library.Modes, traffic.NoTakeover)
}

//go:embed node.js
var nodeScript string

// nodeWS is the variable that has the path of Node's package ws.
const nodeWS = "WEBSOCKET_NODE_WS"

// competitors are those whose names are in the list, or all, and bare; and what
// there is to say about those that could not be had.
func competitors(only string, also []competitor) (all []competitor, notes []string) {
	for _, l := range servers.All {
		all = append(all, competitor{name: l.Name, library: l, checks: !l.Lax})
	}
	if node, err := nodeCommand(); err == nil {
		all = slices.Insert(all, len(all)-1, competitor{name: "ws (Node)", command: node, checks: true})
	} else {
		notes = append(notes, fmt.Sprintf("Without Node's ws: %v.", err))
	}
	all = slices.Insert(all, len(all)-1, also...) // before bare
	if only != "" {
		names := strings.Split(only, ",")
		all = slices.DeleteFunc(all, func(c competitor) bool { return !slices.Contains(names, c.name) && !c.limit() })
	}
	return all, notes
}

func nodeCommand() ([]string, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, err
	}
	ws := os.Getenv(nodeWS)
	if ws == "" {
		return nil, fmt.Errorf("%s is not set to its path", nodeWS)
	}
	if _, err := os.Stat(filepath.Join(ws, "package.json")); err != nil {
		return nil, err
	}
	return []string{node, "-e", nodeScript, ws}, nil
}

// commands are competitors of the command line.
type commands []competitor

func (c *commands) String() string { return "" }

func (c *commands) Set(s string) error {
	name, command, _ := strings.Cut(s, "=")
	args := strings.Fields(command)
	if name == "" || len(args) == 0 {
		return fmt.Errorf("%q is not name=command", s)
	}
	*c = append(*c, competitor{name: name, command: args})
	return nil
}
