// Command dataflow is a word count as it is written for Dataflow: from bucket to bucket, with metrics that are read back.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"regexp"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/core/metrics"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem/gcs"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/textio"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/transforms/stats"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/x/beamx"
)

var (
	input  = flag.String("input", "", "object or pattern to read (required)")
	output = flag.String("output", "", "object to write (required)")
)

var (
	word    = regexp.MustCompile(`[A-Za-z']+`)
	words   = beam.NewCounter("wordcount", "words")
	lengths = beam.NewDistribution("wordcount", "lengths")
)

func init() {
	register.Function3x0(split)
	register.Function2x1(format)
	register.Emitter1[string]()
}

func split(ctx context.Context, line string, emit func(string)) {
	for _, found := range word.FindAllString(line, -1) {
		words.Inc(ctx, 1)
		lengths.Update(ctx, int64(len(found)))
		emit(found)
	}
}

func format(word string, count int) string {
	return fmt.Sprintf("%s: %d", word, count)
}

func main() {
	flag.Parse()
	// From here on a worker, which runs this same binary, does not return.
	beam.Init()
	if *input == "" || *output == "" {
		log.Fatal("--input and --output are required")
	}

	pipeline, scope := beam.NewPipelineWithRoot()
	found := beam.ParDo(scope, split, textio.Read(scope, *input))
	lines := beam.ParDo(scope, format, stats.Count(scope, found))
	textio.Write(scope, *output, lines)

	result, err := beamx.RunWithMetrics(context.Background(), pipeline)
	if err != nil {
		log.Fatalf("the pipeline failed: %v", err)
	}
	show(result.Metrics().AllMetrics())
}

func show(all metrics.QueryResults) {
	for _, counter := range all.Counters() {
		fmt.Println("counter", counter.Key.Step, counter.Key.Namespace, counter.Attempted, counter.Committed)
	}
	for _, distribution := range all.Distributions() {
		fmt.Println("distribution", distribution.Committed.Count, distribution.Committed.Min)
	}
}
