//go:build ignore

// Writes go.pb into the folder given, with Beam 2.77.0: go run make.go FOLDER.
package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/core/graph/window"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/core/runtime/graphx"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/core/state"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem/local"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/textio"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/transforms/stats"
	"google.golang.org/protobuf/proto"
)

type Rec struct {
	Name string
	N    int
}

func split(line string, emit func(string)) {
	for _, w := range strings.Fields(line) {
		emit(w)
	}
}
func rec(w string) Rec                                             { return Rec{w, 1} }
func key(r Rec) (string, Rec)                                      { return r.Name, r }
func join(k string, a func(*Rec) bool, b func(*int) bool) string   { return k }
func side(w string, all []Rec, it func(*string, *int) bool) string { return w }

type Stateful struct{ S state.Value[int] }

func (s *Stateful) ProcessElement(p state.Provider, k string, r Rec) int {
	v, _, _ := s.S.Read(p)
	_ = s.S.Write(p, v+r.N)
	return v
}

func init() {
	register.Function2x0(split)
	register.Emitter1[string]()
	register.Function1x1(rec)
	register.Function1x2(key)
	register.Function3x1(join)
	register.Iter1[Rec]()
	register.Iter1[int]()
	register.Function3x1(side)
	register.Iter2[string, int]()
	register.DoFn3x1[state.Provider, string, Rec, int](&Stateful{})
}

func main() {
	beam.Init()
	p, s := beam.NewPipelineWithRoot()
	lines := textio.Read(s, os.Args[0])
	words := beam.ParDo(s, split, lines)
	counts := stats.Count(s, words)
	recs := beam.ParDo(s, rec, words)
	keyed := beam.ParDo(s, key, recs)
	grouped := beam.CoGroupByKey(s, keyed, counts)
	beam.ParDo(s, join, grouped)
	beam.ParDo(s, side, beam.Reshuffle(s, words), beam.SideInput{Input: recs}, beam.SideInput{Input: counts})
	w := beam.WindowInto(s, window.NewSlidingWindows(60e9, 60e9), keyed)
	beam.ParDo(s, &Stateful{}, w)
	flat := beam.Flatten(s, words, lines)
	stats.Count(s, flat)
	edges, _, err := p.Build()
	if err != nil {
		panic(err)
	}
	env, err := graphx.CreateEnvironment(context.Background(), "beam:env:external:v1", func(context.Context) string { return "localhost:1" })
	if err != nil {
		panic(err)
	}
	pb, err := graphx.Marshal(edges, &graphx.Options{Environment: env})
	if err != nil {
		panic(err)
	}
	b, _ := proto.MarshalOptions{Deterministic: true}.Marshal(pb)
	if err := os.WriteFile(filepath.Join(os.Args[1], "go.pb"), b, 0o644); err != nil {
		panic(err)
	}
}
