// Command weather turns daily weather observations into one line of statistics for each month.
//
// Input: CSV with the columns date (2012/01/31), precipitation (mm), temp_max and temp_min (Celsius), wind (m/s) and weather.
// Output: "month,days,wet days,precipitation,highest,lowest,windiest,above average", where the last is how many days were
// warmer than the mean of the whole file. The first line, which names the columns, is dropped.
package main

import (
	"context"
	"encoding/csv"
	"flag"
	"fmt"
	"log"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
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

// Day is one day's observations. Measures are in tenths, as the stations give them, so that sums are exact.
type Day struct {
	Month                                string
	Precipitation, Highest, Lowest, Wind int
}

// Summary is the statistics of several days.
type Summary struct {
	Days, Wet, Precipitation, Highest, Lowest, Wind, Warm int
}

func init() {
	register.Function2x1(parse)
	register.Function1x1(highest)
	register.Function2x2(keyByMonth)
	register.Function2x1(merge)
	register.Function2x1(format)
	register.Emitter1[Day]()
	beam.RegisterType(reflect.TypeFor[Day]())
	beam.RegisterType(reflect.TypeFor[Summary]())
}

func parse(line string, emit func(Day)) error {
	if strings.HasPrefix(line, "date,") {
		return nil
	}
	fields, err := csv.NewReader(strings.NewReader(line)).Read()
	if err != nil {
		return err
	}
	if len(fields) != 6 {
		return fmt.Errorf("%q has %d columns, not 6", line, len(fields))
	}
	date := strings.Split(fields[0], "/")
	if len(date) != 3 {
		return fmt.Errorf("%q is no date", fields[0])
	}
	var measures [4]int
	for i := range measures {
		if measures[i], err = tenths(fields[i+1]); err != nil {
			return err
		}
	}
	emit(Day{date[0] + "-" + date[1], measures[0], measures[1], measures[2], measures[3]})
	return nil
}

func tenths(text string) (int, error) {
	value, err := strconv.ParseFloat(text, 64)
	return int(math.Round(value * 10)), err
}

func highest(day Day) int {
	return day.Highest
}

func keyByMonth(day Day, mean float64) (string, Summary) {
	summary := Summary{Days: 1, Precipitation: day.Precipitation, Highest: day.Highest, Lowest: day.Lowest, Wind: day.Wind}
	if day.Precipitation > 0 {
		summary.Wet = 1
	}
	if float64(day.Highest) > mean {
		summary.Warm = 1
	}
	return day.Month, summary
}

func merge(a, b Summary) Summary {
	return Summary{
		Days:          a.Days + b.Days,
		Wet:           a.Wet + b.Wet,
		Precipitation: a.Precipitation + b.Precipitation,
		Highest:       max(a.Highest, b.Highest),
		Lowest:        min(a.Lowest, b.Lowest),
		Wind:          max(a.Wind, b.Wind),
		Warm:          a.Warm + b.Warm,
	}
}

func format(month string, s Summary) string {
	return fmt.Sprintf("%s,%d,%d,%.1f,%.1f,%.1f,%.1f,%d", month, s.Days, s.Wet,
		float64(s.Precipitation)/10, float64(s.Highest)/10, float64(s.Lowest)/10, float64(s.Wind)/10, s.Warm)
}

func main() {
	flag.Parse()
	// From here on a worker, which runs this same binary, does not return.
	beam.Init()
	if *input == "" || *output == "" {
		log.Fatal("--input and --output are required")
	}

	pipeline, scope := beam.NewPipelineWithRoot()
	days := beam.ParDo(scope, parse, textio.Read(scope, *input))
	mean := stats.Mean(scope, beam.ParDo(scope, highest, days))
	keyed := beam.ParDo(scope, keyByMonth, days, beam.SideInput{Input: mean})
	months := beam.CombinePerKey(scope, merge, keyed)
	textio.Write(scope, *output, beam.ParDo(scope, format, months))

	if err := beamx.Run(context.Background(), pipeline); err != nil {
		log.Fatalf("the pipeline failed: %v", err)
	}
}
