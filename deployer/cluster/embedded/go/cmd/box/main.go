// Command box runs daemons in a box: namespaces of their own for network, mounts, processes, IPC and host name.
//
// `box start SPEC LISTENER CLAIM` makes the box and returns when its first process runs: `box init SPEC`, pid 1 inside, which
// mounts what the box sees, brings its network up, starts the daemons and keeps them running. Ending that one
// process ends all of the box: the kernel takes processes, mounts, links and tables with it.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// Spec says what is in the box.
type Spec struct {
	Name    string            `json:"name"`
	Log     string            `json:"log"`     // what init itself says
	Status  string            `json:"status"`  // where init keeps what runs, as JSON; a path inside the box
	Cgroups []string          `json:"cgroups"` // the folders that everything in the box is counted in
	Network Network           `json:"network"`
	Binds   []Bind            `json:"binds"`
	Sysctls map[string]string `json:"sysctls"`
	Setup   []Command         `json:"setup"` // run once, in order, before the daemons
	Daemons []Daemon          `json:"daemons"`
}

// Network is the one link between the box and its machine.
type Network struct {
	Link    string `json:"link"`    // its name outside; inside it is eth0
	Outside string `json:"outside"` // address with prefix length
	Inside  string `json:"inside"`
	Gateway string `json:"gateway"`
}

// Bind shows a folder of the machine inside the box under a short path of its own.
type Bind struct {
	From     string `json:"from"`
	To       string `json:"to"`
	ReadOnly bool   `json:"readOnly"`
}

// Command is a program and its environment.
type Command struct {
	Argv []string          `json:"argv"`
	Env  map[string]string `json:"env"`
}

// Daemon is a program that must always run.
type Daemon struct {
	Command
	Name     string   `json:"name"`
	Log      string   `json:"log"`
	After    []string `json:"after"`    // what must be there before it starts: "unix:/path" or "tcp:host:port" answers, "file:/path" exists
	Listener bool     `json:"listener"` // hand it the box's listening socket
}

func main() {
	var err error
	switch {
	case len(os.Args) == 5 && os.Args[1] == "start":
		err = start(os.Args[2], os.Args[3:])
	case len(os.Args) == 3 && os.Args[1] == "init":
		err = runInit(os.Args[2])
	default:
		fmt.Fprintln(os.Stderr, "usage: box start SPEC LISTENER CLAIM, or box init SPEC")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "box:", err)
		os.Exit(1)
	}
}

func load(path string) (*Spec, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	spec := new(Spec)
	if err := json.Unmarshal(text, spec); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return spec, nil
}
