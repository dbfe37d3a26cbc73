package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// image is the suite's own container image, of the version that expected.json
// describes.
const image = "crossbario/autobahn-testsuite:25.10.1@sha256:519915fb568b04c9383f70a1c405ae3ff44ab9e35835b085239c258b6fac3074"

// A suite is a way to run the suite's program, wstest.
type suite struct {
	about   string
	dir     string                     // where specifications and reports are
	command func(mode string) []string // wstest and its arguments so far, for a mode
	cleanup func(mode string)          // after a run, however it ended
}

// findSuite returns the first way to run wstest that this machine has: the
// program that the WSTEST variable names, a container engine that answers, a
// wstest on the search path. With none of them it fails.
func findSuite(ctx context.Context, dir string) (*suite, error) {
	if program := os.Getenv("WSTEST"); program != "" {
		found, err := exec.LookPath(program)
		if err != nil {
			return nil, fmt.Errorf("the WSTEST variable: %w", err)
		}
		return programSuite(found, dir)
	}
	if exec.CommandContext(ctx, "docker", "info").Run() == nil {
		return containerSuite(ctx, dir)
	}
	if found, err := exec.LookPath("wstest"); err == nil {
		return programSuite(found, dir)
	}
	return nil, errors.New("the Autobahn suite cannot be run here: " +
		"there is no container engine that answers `docker info`, " +
		"no wstest on the search path, and WSTEST is not set (autobahn/README.md says how to get one)")
}

func programSuite(program, dir string) (*suite, error) {
	program, err := filepath.Abs(program)
	if err != nil {
		return nil, err
	}
	return &suite{
		about:   program,
		dir:     dir,
		command: func(string) []string { return []string{program} },
		cleanup: func(string) {},
	}, nil
}

// containerSuite runs wstest in a container that shares this machine's network,
// so that both ends talk over the loopback interface, and its files, as this
// user, so that the reports are not left behind as somebody else's.
func containerSuite(ctx context.Context, dir string) (*suite, error) {
	if exec.CommandContext(ctx, "docker", "image", "inspect", image).Run() != nil {
		out, err := exec.CommandContext(ctx, "docker", "pull", "--quiet", image).CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("docker pull: %w: %s", err, out)
		}
	}
	container := func(mode string) string { return fmt.Sprintf("websocket-%s-%d", mode, os.Getpid()) }
	return &suite{
		about: image,
		dir:   dir,
		command: func(mode string) []string {
			argv := []string{
				"docker", "run", "--rm", "--name", container(mode), "--network", "host",
				"--volume", dir + ":/reports", "--workdir", "/reports",
				"--env", "HOME=/tmp", "--env", "PYTHONUNBUFFERED=1",
			}
			if uid := os.Getuid(); uid >= 0 {
				argv = append(argv, "--user", strconv.Itoa(uid)+":"+strconv.Itoa(os.Getgid()))
			}
			return append(argv, image, "wstest")
		},
		cleanup: func(mode string) {
			// The container of a client that was killed goes on without it.
			// When all went well there is nothing left to remove.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
			defer cancel()
			_ = exec.CommandContext(ctx, "docker", "rm", "--force", container(mode)).Run()
		},
	}, nil
}

// start runs wstest in a mode, with a specification.
func (s *suite) start(ctx context.Context, mode string, specification map[string]any) (*process, error) {
	data, err := json.MarshalIndent(specification, "", "  ")
	if err != nil {
		return nil, err
	}
	file := mode + ".json"
	if err := os.WriteFile(filepath.Join(s.dir, file), data, 0o644); err != nil {
		return nil, err
	}
	argv := append(s.command(mode), "--mode", mode, "--spec", file, "--webport", "0")
	return start(ctx, mode, s.dir, s.dir, argv...)
}

// stop ends a run and leaves nothing of it behind.
func (s *suite) stop(mode string, p *process) {
	p.stop()
	s.cleanup(mode)
}
