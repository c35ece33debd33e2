// Create transactions against etcd: the load that bench/writes.py measures Longshore's beside.
// Each client creates keys one after another (If the key is absent, Then put 1.5 KB).
package main

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

func main() {
	endpoint := flag.String("endpoint", "127.0.0.1:2379", "where etcd listens")
	clients := flag.Int("clients", 64, "how many create at once")
	connections := flag.Int("connections", 8, "how many connections they share")
	seconds := flag.Float64("seconds", 4, "for how long")
	flag.Parse()

	shared := make([]*clientv3.Client, *connections)
	for i := range shared {
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{*endpoint}, DialTimeout: 5 * time.Second})
		must(err)
		defer client.Close()
		shared[i] = client
	}
	var created atomic.Int64
	var crew sync.WaitGroup
	begun := time.Now()
	end := begun.Add(time.Duration(*seconds * float64(time.Second)))
	for number := 0; number < *clients; number++ {
		crew.Add(1)
		go func() {
			defer crew.Done()
			created.Add(create(shared[number%len(shared)], number, end))
		}()
	}
	crew.Wait()
	rate := float64(created.Load()) / time.Since(begun).Seconds()
	must(json.NewEncoder(os.Stdout).Encode(map[string]float64{"creates_per_second": rate}))
}

func create(client *clientv3.Client, number int, end time.Time) int64 {
	value := strings.Repeat("x", 1500)
	for count := int64(0); ; count++ {
		if time.Now().After(end) {
			return count
		}
		key := "/bench/" + strconv.Itoa(number) + "/" + strconv.FormatInt(count, 10)
		absent := clientv3.Compare(clientv3.ModRevision(key), "=", 0)
		_, err := client.Txn(context.Background()).If(absent).Then(clientv3.OpPut(key, value)).Commit()
		must(err)
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
