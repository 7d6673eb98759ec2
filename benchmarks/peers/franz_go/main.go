// franz-go as a peer: the command line that all peers have (../README.md), one line of JSON.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

var (
	bootstrapServer = flag.String("bootstrap-server", "", "")
	topic           = flag.String("topic", "", "")
	payloadFile     = flag.String("payload-file", "", "one value a line")
	records         = flag.Int("records", 0, "")
	mode            = flag.String("mode", "produce", "produce, produce_callback, latency or consume")
	codec           = flag.String("codec", "none", "")
	lingerMs        = flag.Int("linger-ms", 5, "")
	settings        = flag.String("settings", "tuned", "default or tuned")
	_               = flag.Int("rate", 0, "only 0, unbounded")
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "franz_go:", err)
		os.Exit(1)
	}
}

func readValues() [][]byte {
	file, err := os.Open(*payloadFile)
	check(err)
	defer file.Close()
	var values [][]byte
	scanner := bufio.NewScanner(file)
	scanner.Buffer(make([]byte, 1<<20), 16<<20)
	for scanner.Scan() {
		values = append(values, append([]byte(nil), scanner.Bytes()...))
	}
	check(scanner.Err())
	if len(values) == 0 {
		check(errors.New("the payload file is empty"))
	}
	return values
}

func newClient() *kgo.Client {
	options := []kgo.Opt{
		kgo.SeedBrokers(*bootstrapServer),
		kgo.DefaultProduceTopic(*topic),
		kgo.RequiredAcks(kgo.AllISRAcks()), // idempotent, as is its default
	}
	if *settings == "tuned" {
		options = append(options,
			kgo.ProducerLinger(time.Duration(*lingerMs)*time.Millisecond),
			kgo.ProducerBatchMaxBytes(1_000_000),
			kgo.MaxBufferedRecords(2_000_000),
			kgo.MaxBufferedBytes(1<<30),
		)
	}
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	options = append(options, kgo.ProducerBatchCompression(codecs[*codec]))
	client, err := kgo.NewClient(options...)
	check(err)
	return client
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

// residentKb returns a row of the process status, VmRSS (now) or VmHWM (the most there was).
func residentKb(row string) int {
	status, err := os.ReadFile("/proc/self/status")
	check(err)
	for _, line := range strings.Split(string(status), "\n") {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == row+":" {
			size, err := strconv.Atoi(fields[1])
			check(err)
			return size
		}
	}
	return 0
}

func oneAtATime(client *kgo.Client, values [][]byte) []float64 {
	latenciesUs := make([]float64, 0, *records)
	for number := 0; number < *records; number++ {
		started := time.Now()
		record := &kgo.Record{Value: values[number%len(values)]}
		check(client.ProduceSync(context.Background(), record).FirstErr())
		latenciesUs = append(latenciesUs, float64(time.Since(started).Nanoseconds())/1e3)
	}
	sort.Float64s(latenciesUs)
	return latenciesUs
}

func produceEach(client *kgo.Client, values [][]byte, promise func(*kgo.Record, error)) {
	background := context.Background()
	for number := 0; number < *records; number++ {
		client.Produce(background, &kgo.Record{Value: values[number%len(values)]}, promise)
	}
}

// consumeAll reads the topic from its beginning. The client knows of no topic before.
func consumeAll() {
	options := []kgo.Opt{
		kgo.SeedBrokers(*bootstrapServer),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	}
	if *settings == "tuned" {
		options = append(options, kgo.FetchMaxBytes(50<<20), kgo.FetchMaxPartitionBytes(8<<20))
	}
	client, err := kgo.NewClient(options...)
	check(err)
	background := context.Background()
	check(client.Ping(background))
	check(os.WriteFile("/proc/self/clear_refs", []byte("5"), 0))
	idleKb := residentKb("VmRSS")
	got, sizeBytes := 0, 0
	wall, cpu := time.Now(), cpuSeconds()
	client.AddConsumeTopics(*topic)
	for got < *records {
		fetches := client.PollFetches(background)
		check(fetches.Err())
		fetches.EachRecord(func(record *kgo.Record) {
			sizeBytes += len(record.Value)
			got++
		})
	}
	check(json.NewEncoder(os.Stdout).Encode(map[string]any{
		"records": got, "warm_up": 0, "bytes": sizeBytes, "cpu_seconds": cpuSeconds() - cpu,
		"seconds": time.Since(wall).Seconds(), "resident_over_idle_kb": residentKb("VmHWM") - idleKb,
	}))
}

func main() {
	flag.Parse()
	if *mode == "consume" {
		consumeAll()
		return
	}
	values := readValues()
	client := newClient()
	warmUp := &kgo.Record{Value: values[len(values)-1]} // connections, metadata, producer id
	check(client.ProduceSync(context.Background(), warmUp).FirstErr())
	var delivered, failed atomic.Int64
	promise := func(_ *kgo.Record, err error) {
		if err != nil {
			failed.Add(1)
		} else {
			delivered.Add(1)
		}
	}
	check(os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)) // VmHWM starts anew: proc(5)
	idleKb := residentKb("VmRSS")
	wall, cpu := time.Now(), cpuSeconds()
	var latenciesUs []float64
	switch *mode {
	case "latency":
		latenciesUs = oneAtATime(client, values)
	case "produce_callback":
		produceEach(client, values, promise)
	default:
		produceEach(client, values, nil)
	}
	check(client.Flush(context.Background()))
	row := map[string]any{
		"records": *records, "warm_up": 1, "cpu_seconds": cpuSeconds() - cpu,
		"seconds": time.Since(wall).Seconds(), "resident_over_idle_kb": residentKb("VmHWM") - idleKb,
	}
	if *mode == "produce_callback" && (failed.Load() != 0 || delivered.Load() != int64(*records)) {
		check(fmt.Errorf("%d delivered, %d failed", delivered.Load(), failed.Load()))
	}
	if last := len(latenciesUs) - 1; last >= 0 {
		row["p50_us"] = latenciesUs[len(latenciesUs)/2]
		row["p99_us"] = latenciesUs[min(last, len(latenciesUs)*99/100)]
		row["p999_us"] = latenciesUs[min(last, len(latenciesUs)*999/1000)]
	}
	line, err := json.Marshal(row)
	check(err)
	fmt.Println(string(line))
}
