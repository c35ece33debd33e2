// Create transactions against etcd: the load that bench/writes.py measures Longshore's beside.
// Each client creates keys one after another (If the key is absent, Then put 1.5 KB).
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
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
	latencies := make([][]float64, *clients)
	var crew sync.WaitGroup
	begun := time.Now()
	end := begun.Add(time.Duration(*seconds * float64(time.Second)))
	for number := 0; number < *clients; number++ {
		crew.Add(1)
		go func() {
			defer crew.Done()
			latencies[number] = create(shared[number%len(shared)], number, end)
		}()
	}
	crew.Wait()
	elapsed := time.Since(begun).Seconds()
	all := slices.Concat(latencies...)
	slices.Sort(all)
	count := float64(len(all))
	must(json.NewEncoder(os.Stdout).Encode(map[string]float64{
		"creates_per_second": count / elapsed,
		"cpu_us":             cpuSeconds() / count * 1e6,
		"p99_ms":             all[len(all)*99/100] * 1e3,
	}))
}

// How long each create took, in seconds.
func create(client *clientv3.Client, number int, end time.Time) (took []float64) {
	value := strings.Repeat("x", 1500)
	for {
		began := time.Now()
		if began.After(end) {
			return took
		}
		key := fmt.Sprintf("/bench/%d/%d/%d", os.Getpid(), number, len(took))
		absent := clientv3.Compare(clientv3.ModRevision(key), "=", 0)
		_, err := client.Txn(context.Background()).If(absent).Then(clientv3.OpPut(key, value)).Commit()
		must(err)
		took = append(took, time.Since(began).Seconds())
	}
}

// Of all threads of this process.
func cpuSeconds() float64 {
	var used syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
