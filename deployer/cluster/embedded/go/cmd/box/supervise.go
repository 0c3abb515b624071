package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	firstPause = 250 * time.Millisecond
	longest    = 15 * time.Second
	filePause  = time.Second
	// A daemon that ran for this long is restarted without delay.
	settled = 30 * time.Second
	// A log larger than this is set aside when its daemon starts; one older log is kept.
	largestLog = 16 << 20
)

// State is what others may know of a daemon.
type State struct {
	Name     string `json:"name"`
	Pid      int    `json:"pid"` // inside the box; 0 when it does not run
	Since    int64  `json:"since"`
	Restarts int    `json:"restarts"`
	Ended    string `json:"ended"` // how it ended last
}

type supervisor struct {
	spec     *Spec
	nothing  *os.File // what daemons read
	listener *os.File

	// Held while a process is started and noted, so that the reaper knows every process that it finds dead.
	mutex  sync.Mutex
	states []State
	ends   map[int]chan string
}

func newSupervisor(spec *Spec) (*supervisor, error) {
	nothing, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	s := &supervisor{
		spec:     spec,
		nothing:  nothing,
		listener: os.NewFile(listener, "listener"),
		ends:     make(map[int]chan string),
	}
	for _, daemon := range spec.Daemons {
		s.states = append(s.states, State{Name: daemon.Name})
	}
	return s, nil
}

// run starts every daemon and reaps for ever: as pid 1, init inherits whatever loses its parent.
func (s *supervisor) run() {
	died := make(chan os.Signal, 1)
	signal.Notify(died, syscall.SIGCHLD)
	for i := range s.spec.Daemons {
		go s.keep(i)
	}
	for range died {
		s.reap()
	}
}

func (s *supervisor) reap() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if pid <= 0 {
			return
		}
		if end, ours := s.ends[pid]; ours {
			delete(s.ends, pid)
			end <- describe(status)
		}
	}
}

// keep runs one daemon again and again, pausing longer each time it fails soon after its start.
func (s *supervisor) keep(index int) {
	daemon, pause := s.spec.Daemons[index], firstPause
	for {
		await(daemon.After)
		started := time.Now()
		ended := s.once(index, daemon)
		fmt.Printf("%s %s ended: %s\n", time.Now().UTC().Format(time.RFC3339), daemon.Name, ended)
		if time.Since(started) >= settled {
			pause = firstPause
		}
		time.Sleep(pause)
		pause = min(2*pause, longest)
	}
}

// once runs a daemon to its end and says how it ended.
func (s *supervisor) once(index int, daemon Daemon) string {
	log, err := openLog(daemon.Log)
	if err != nil {
		return err.Error()
	}
	defer log.Close()
	files := []*os.File{s.nothing, log, log}
	if daemon.Listener {
		files = append(files, s.listener)
	}
	end := make(chan string, 1)
	s.mutex.Lock()
	process, err := os.StartProcess(lookUp(daemon.Argv[0], daemon.Env["PATH"]), daemon.Argv, &os.ProcAttr{
		Dir:   "/",
		Env:   environment(daemon.Env),
		Files: files,
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		s.mutex.Unlock()
		return err.Error()
	}
	s.ends[process.Pid] = end
	s.mutex.Unlock()
	s.note(index, func(state *State) { state.Pid, state.Since = process.Pid, time.Now().Unix() })
	ended := <-end
	s.note(index, func(state *State) { state.Pid, state.Ended, state.Restarts = 0, ended, state.Restarts+1 })
	return ended
}

func (s *supervisor) note(index int, change func(*State)) {
	s.mutex.Lock()
	change(&s.states[index])
	s.mutex.Unlock()
	s.writeStatus()
}

func (s *supervisor) writeStatus() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	text, err := json.Marshal(s.states)
	if err == nil {
		os.MkdirAll(filepath.Dir(s.spec.Status), 0o700)
		if err = os.WriteFile(s.spec.Status+".new", text, 0o600); err == nil {
			err = os.Rename(s.spec.Status+".new", s.spec.Status)
		}
	}
	if err != nil {
		fmt.Println("status:", err)
	}
}

// await returns when every socket accepts a connection and every file exists.
func await(needed []string) {
	for _, need := range needed {
		kind, address, _ := strings.Cut(need, ":")
		for {
			if kind == "file" {
				if _, err := os.Stat(address); err == nil {
					break
				}
				time.Sleep(filePause) // it may be minutes away, or never come
				continue
			}
			connection, err := net.DialTimeout(kind, address, time.Second)
			if err == nil {
				connection.Close()
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}

func openLog(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > largestLog {
		os.Rename(path, path+".old")
	}
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

func describe(status syscall.WaitStatus) string {
	if status.Signaled() {
		return fmt.Sprintf("killed by signal %d (%s)", status.Signal(), status.Signal())
	}
	return fmt.Sprintf("exit status %d", status.ExitStatus())
}
