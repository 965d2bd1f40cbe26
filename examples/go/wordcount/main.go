// Command wordcount counts the words of text files and writes one "word: count" line for each.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"regexp"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem/gcs"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem/local"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/textio"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/transforms/stats"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/x/beamx"
)

var (
	input  = flag.String("input", "", "file or pattern to read (required)")
	output = flag.String("output", "", "file to write (required)")
)

var word = regexp.MustCompile(`[A-Za-z']+`)

func init() {
	register.Function2x0(split)
	register.Function2x1(format)
	register.Emitter1[string]()
}

func split(line string, emit func(string)) {
	for _, found := range word.FindAllString(line, -1) {
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
	words := beam.ParDo(scope, split, textio.Read(scope, *input))
	lines := beam.ParDo(scope, format, stats.Count(scope, words))
	textio.Write(scope, *output, lines)

	if err := beamx.Run(context.Background(), pipeline); err != nil {
		log.Fatalf("the pipeline failed: %v", err)
	}
}
