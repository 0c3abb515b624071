package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const namespaces = syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS

// start makes the box. Its caller hands over two sockets, by descriptor: the one that listens on the machine's own
// port, and the one whose abstract name claims the box's network number for as long as the box lives.
func start(path string, sockets []string) error {
	spec, err := load(path)
	if err != nil {
		return err
	}
	for _, cgroup := range spec.Cgroups {
		if err := enter(cgroup); err != nil {
			return err
		}
	}
	log, err := os.OpenFile(spec.Log, os.O_CREATE|os.O_WRONLY|os.O_TRUNC|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	inside := exec.Command(self, "init", path)
	inside.Stdout, inside.Stderr = log, log
	inside.ExtraFiles = []*os.File{theirs}
	for _, socket := range sockets {
		descriptor, err := strconv.Atoi(socket)
		if err != nil {
			return err
		}
		inside.ExtraFiles = append(inside.ExtraFiles, os.NewFile(uintptr(descriptor), "socket"))
	}
	inside.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Setsid: true}
	if err := inside.Start(); err != nil {
		return fmt.Errorf("no new namespaces: %w", err)
	}
	theirs.Close()
	if err := connect(spec, inside.Process.Pid, ours); err != nil {
		inside.Process.Kill()
		inside.Wait()
		return err
	}
	return nil
}

// enter moves this process, and so what it starts, into a cgroup.
func enter(cgroup string) error {
	pid := strconv.Itoa(os.Getpid())
	return os.WriteFile(filepath.Join(cgroup, "cgroup.procs"), []byte(pid), 0o644)
}

// connect makes the link, lets init go on and waits for its word: "ok" or what went wrong.
func connect(spec *Spec, pid int, init *os.File) error {
	link := spec.Network.Link
	for _, argv := range [][]string{
		{"ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(pid)},
		{"ip", "address", "add", spec.Network.Outside, "dev", link},
		{"ip", "link", "set", link, "up"},
	} {
		if err := run(Command{Argv: argv}); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(init, "go\n"); err != nil {
		return err
	}
	if err := syscall.Shutdown(int(init.Fd()), syscall.SHUT_WR); err != nil {
		return err
	}
	answer, err := io.ReadAll(init)
	if err != nil {
		return err
	}
	if said := strings.TrimSpace(string(answer)); said != "ok" {
		return errors.New(said)
	}
	return nil
}

func socketPair() (*os.File, *os.File, error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(pair[0]), "start"), os.NewFile(uintptr(pair[1]), "init"), nil
}

func run(command Command) error {
	program := exec.Command(command.Argv[0], command.Argv[1:]...)
	if path, set := command.Env["PATH"]; set {
		program = exec.Command(lookUp(command.Argv[0], path), command.Argv[1:]...)
		program.Env = environment(command.Env)
	}
	if said, err := program.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command.Argv, " "), err, strings.TrimSpace(string(said)))
	}
	return nil
}

// lookUp finds a program on a PATH that is not this process's own.
func lookUp(name, path string) string {
	if strings.Contains(name, "/") {
		return name
	}
	for _, folder := range filepath.SplitList(path) {
		if info, err := os.Stat(filepath.Join(folder, name)); err == nil && info.Mode()&0o111 != 0 {
			return filepath.Join(folder, name)
		}
	}
	return name
}

func environment(variables map[string]string) []string {
	var list []string
	for name, value := range variables {
		list = append(list, name+"="+value)
	}
	return list
}
