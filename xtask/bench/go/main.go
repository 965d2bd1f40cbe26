// Command bench runs one benchmark case and prints {"seconds": ..., "run_seconds": ...}: the whole job, or all the jobs, as the SDK
// sees them, and what of it comes after the request to run was answered.
//
//	bench --case=NAME --size=N --folder=DIR --runner=universal --endpoint=HOST:PORT --environment_type=LOOPBACK
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem/local"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/textio"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/transforms/stats"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/x/beamx"
)

const (
	shards     = 20
	valueBytes = 100
)

var (
	name   = flag.String("case", "", "which case")
	size   = flag.Int("size", 0, "bytes of text, or elements")
	folder = flag.String("folder", "", "where texts are written and read")
	jobs   = flag.Int("jobs", 1, "how many such jobs are submitted at once")
)

// Values that were found in groups: in LOOPBACK, workers are this process. A counter of Beam's would be work for the runner.
var grouped atomic.Int64

func init() {
	register.Function1x1(addOne)
	register.Function2x0(words)
	register.Function2x1(format)
	register.Function2x1(count)
	register.DoFn2x0[int, func(int, []byte)](&keyed{})
	register.Emitter1[string]()
	register.Emitter2[int, []byte]()
	register.Iter1[[]byte]()
}

func addOne(n int) int { return n + 1 }

func words(line string, emit func(string)) {
	for _, word := range strings.Fields(line) {
		emit(word)
	}
}

func format(word string, count int) string { return fmt.Sprintf("%s %d", word, count) }

// keyed emits values of 100 bytes with random keys.
type keyed struct {
	PerShard, Keys int
}

func (fn *keyed) ProcessElement(shard int, emit func(int, []byte)) {
	source := rand.New(rand.NewSource(int64(shard)))
	value := make([]byte, valueBytes)
	for range fn.PerShard {
		source.Read(value[:8])
		emit(source.Intn(fn.Keys), value)
	}
}

func count(key int, values func(*[]byte) bool) int {
	var value []byte
	n := 0
	for values(&value) {
		n++
	}
	grouped.Add(int64(n))
	return n
}

func shardNumbers() []int {
	numbers := make([]int, shards)
	for n := range numbers {
		numbers[n] = n
	}
	return numbers
}

func tiny(scope beam.Scope) error {
	beam.ParDo(scope, addOne, beam.CreateList(scope, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}))
	return nil
}

func wordcount(scope beam.Scope) error {
	path := filepath.Join(*folder, "text")
	if err := writeText(path, *size); err != nil {
		return err
	}
	all := beam.ParDo(scope, words, textio.Read(scope, path))
	lines := beam.ParDo(scope, format, stats.Count(scope, all))
	textio.Write(scope, filepath.Join(*folder, "counts"), lines)
	return nil
}

func groupByKey(keys int) func(beam.Scope) error {
	return func(scope beam.Scope) error {
		numbers := beam.Reshuffle(scope, beam.CreateList(scope, shardNumbers()))
		pairs := beam.ParDo(scope, &keyed{PerShard: *size / shards, Keys: keys}, numbers)
		beam.ParDo(scope, count, beam.GroupByKey(scope, pairs))
		return nil
	}
}

func writeText(path string, size int) error {
	vocabulary := strings.Fields("the quick brown fox jumps over a lazy dog while rain falls on every roof in town")
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(file)
	source := rand.New(rand.NewSource(1))
	for written := 0; written < size; {
		for range 12 {
			n, _ := fmt.Fprintf(out, "%s%d ", vocabulary[source.Intn(len(vocabulary))], source.Intn(500))
			written += n
		}
		out.WriteByte('\n')
		written++
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return file.Close()
}

func main() {
	flag.Parse()
	// From here on a worker, which runs this same binary, does not return.
	beam.Init()
	cases := map[string]func(beam.Scope) error{
		"tiny":      tiny,
		"wordcount": wordcount,
		"gbk":       groupByKey(max(1, *size/10)),
		"hot-key":   groupByKey(1),
	}
	build, ok := cases[*name]
	if !ok {
		log.Fatalf("no case is called %q", *name)
	}
	pipelines := make([]*beam.Pipeline, *jobs)
	for n := range pipelines {
		pipeline, scope := beam.NewPipelineWithRoot()
		if err := build(scope); err != nil {
			log.Fatal(err)
		}
		pipelines[n] = pipeline
	}
	var clock clock
	clock.watch()
	ended := make(chan error)
	started := time.Now()
	for _, pipeline := range pipelines {
		go func() { ended <- beamx.Run(context.Background(), pipeline) }()
	}
	for range pipelines {
		if err := <-ended; err != nil {
			log.Fatalf("a pipeline failed: %v", err)
		}
	}
	if groups := *name == "gbk" || *name == "hot-key"; groups {
		if wanted := int64(*jobs * (*size / shards) * shards); grouped.Load() != wanted {
			log.Fatalf("%d values were grouped, not %d", grouped.Load(), wanted)
		}
	}
	times := map[string]float64{"seconds": time.Since(started).Seconds()}
	if seconds, seen := clock.seconds(); seen {
		times["run_seconds"] = seconds
	}
	json.NewEncoder(os.Stdout).Encode(times)
}
