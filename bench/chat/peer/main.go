// Serve centrifuge, the library inside Centrifugo, as the chat service's peer in a comparison: every channel is open,
// every client may publish, nobody is asked who they are, and history is kept in memory.
package main

import (
	"context"
	"flag"
	"log"
	"net/http"
	"time"

	"github.com/centrifugal/centrifuge"
)

const (
	historySize = 60
	historyTTL  = 10 * time.Minute
)

func main() {
	address := flag.String("address", "127.0.0.1:0", "where to listen; loopback alone")
	flag.Parse()
	node, err := newNode()
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/connection/websocket", centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{}))
	log.Fatal(http.ListenAndServe(*address, nil))
}

func newNode() (*centrifuge.Node, error) {
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		return nil, err
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{UserID: "anybody"}}, nil
	})
	node.OnConnect(func(client *centrifuge.Client) {
		client.OnSubscribe(func(_ centrifuge.SubscribeEvent, reply centrifuge.SubscribeCallback) {
			reply(centrifuge.SubscribeReply{}, nil)
		})
		client.OnPublish(func(event centrifuge.PublishEvent, reply centrifuge.PublishCallback) {
			result, err := node.Publish(event.Channel, event.Data, centrifuge.WithHistory(historySize, historyTTL))
			reply(centrifuge.PublishReply{Result: &result}, err)
		})
	})
	return node, node.Run()
}
