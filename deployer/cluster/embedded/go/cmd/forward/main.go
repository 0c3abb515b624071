// Command forward accepts connections on an inherited socket and forwards each to one address, telling it the
// client's own address by the PROXY protocol, version 1 (https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt).
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"sync"
	"time"
)

// The socket was made outside the box, in the machine's own network; box hands it over as this descriptor.
const inherited = 3

func main() {
	to := flag.String("to", "", "address to forward to")
	flag.Parse()
	listener, err := net.FileListener(os.NewFile(inherited, "listener"))
	if err != nil {
		log.Fatal(err)
	}
	for {
		client, err := listener.Accept()
		if err != nil { // out of descriptors, or a client that left: the next one may fare better
			log.Print(err)
			time.Sleep(50 * time.Millisecond)
			continue
		}
		go forward(client.(*net.TCPConn), *to)
	}
}

func forward(client *net.TCPConn, to string) {
	defer client.Close()
	dialled, err := net.DialTimeout("tcp", to, 5*time.Second)
	if err != nil {
		return // nothing serves there yet; the client sees a closed connection and tries again
	}
	server := dialled.(*net.TCPConn)
	defer server.Close()
	if _, err := io.WriteString(server, header(client)); err != nil {
		return
	}
	var both sync.WaitGroup
	both.Add(2)
	go pipe(&both, server, client)
	go pipe(&both, client, server)
	both.Wait()
}

func header(client *net.TCPConn) string {
	from, at := client.RemoteAddr().(*net.TCPAddr), client.LocalAddr().(*net.TCPAddr)
	return fmt.Sprintf("PROXY TCP4 %s %s %d %d\r\n", from.IP, at.IP, from.Port, at.Port)
}

// pipe copies one direction to its end. A clean end is passed on, so that half-closed connections work; a broken
// one ends both directions, so that neither waits for a peer that is gone.
func pipe(both *sync.WaitGroup, to, from *net.TCPConn) {
	defer both.Done()
	if _, err := io.Copy(to, from); err != nil {
		to.Close()
		from.Close()
		return
	}
	to.CloseWrite()
}
