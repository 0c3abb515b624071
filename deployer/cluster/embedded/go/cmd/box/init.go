package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Descriptors that start hands to init.
const (
	startSocket = 3
	listener    = 4
	claim       = 5
)

// Folders with paths that no flag of containerd, kubelet or a CNI plugin moves: the box has its own, empty at first.
var masked = []string{"/run", "/var/lib", "/var/log"}

// runInit is pid 1 of the box. It returns only if the box cannot be set up.
func runInit(path string) error {
	spec, err := load(path)
	if err != nil {
		return err
	}
	for _, descriptor := range []int{startSocket, listener, claim} {
		syscall.CloseOnExec(descriptor)
	}
	start := os.NewFile(startSocket, "start")
	if word, _ := io.ReadAll(start); string(word) != "go\n" {
		return fmt.Errorf("whoever started this box left before it was connected")
	}
	supervisor, err := prepare(spec)
	if err != nil {
		fmt.Fprintln(start, err)
		return err
	}
	fmt.Fprintln(start, "ok")
	start.Close()
	supervisor.run()
	return nil
}

func prepare(spec *Spec) (*supervisor, error) {
	for _, step := range []func(*Spec) error{mounts, network, sysctls} {
		if err := step(spec); err != nil {
			return nil, err
		}
	}
	for _, command := range spec.Setup {
		if err := run(command); err != nil {
			return nil, err
		}
	}
	supervisor, err := newSupervisor(spec)
	if err != nil {
		return nil, err
	}
	supervisor.writeStatus() // so that it is there when `box start` returns
	return supervisor, nil
}

func mounts(spec *Spec) error {
	if err := mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE); err != nil {
		return err
	}
	if err := mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC); err != nil {
		return err
	}
	// What is to be shown may itself lie under a masked folder, so it is held open before.
	held := make([]*os.File, len(spec.Binds))
	for i, bind := range spec.Binds {
		folder, err := os.Open(bind.From)
		if err != nil {
			return err
		}
		defer folder.Close()
		held[i] = folder
	}
	for _, folder := range masked {
		if err := mount("tmpfs", folder, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV); err != nil {
			return err
		}
	}
	for i, bind := range spec.Binds {
		if err := show(held[i], bind); err != nil {
			return err
		}
	}
	// The kubelet needs what it mounts to be seen by the containers.
	return mount("", "/", "", syscall.MS_REC|syscall.MS_SHARED)
}

func show(folder *os.File, bind Bind) error {
	if err := os.MkdirAll(bind.To, 0o700); err != nil {
		return err
	}
	from := fmt.Sprintf("/proc/self/fd/%d", folder.Fd())
	if err := mount(from, bind.To, "", syscall.MS_BIND); err != nil {
		return err
	}
	if !bind.ReadOnly {
		return nil
	}
	return mount("", bind.To, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY)
}

func mount(from, to, kind string, flags uintptr) error {
	if err := syscall.Mount(from, to, kind, flags, ""); err != nil {
		return fmt.Errorf("mount %s on %s: %w", from, to, err)
	}
	return nil
}

func network(spec *Spec) error {
	if err := syscall.Sethostname([]byte(spec.Name)); err != nil {
		return err
	}
	for _, line := range []string{
		"ip link set lo up",
		"ip address add " + spec.Network.Inside + " dev eth0",
		"ip link set eth0 up",
		"ip route add default via " + spec.Network.Gateway,
	} {
		if err := run(Command{Argv: strings.Fields(line)}); err != nil {
			return err
		}
	}
	return nil
}

func sysctls(spec *Spec) error {
	for name, value := range spec.Sysctls {
		path := filepath.Join("/proc/sys", strings.ReplaceAll(name, ".", "/"))
		if err := os.WriteFile(path, []byte(value), 0o644); err != nil {
			return err
		}
	}
	return nil
}
