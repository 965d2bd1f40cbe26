package dataflume.examples;

import java.io.Serializable;
import java.util.Locale;
import org.apache.beam.sdk.Pipeline;
import org.apache.beam.sdk.coders.SerializableCoder;
import org.apache.beam.sdk.io.TextIO;
import org.apache.beam.sdk.options.PipelineOptionsFactory;
import org.apache.beam.sdk.transforms.Combine;
import org.apache.beam.sdk.transforms.DoFn;
import org.apache.beam.sdk.transforms.MapElements;
import org.apache.beam.sdk.transforms.Mean;
import org.apache.beam.sdk.transforms.ParDo;
import org.apache.beam.sdk.transforms.View;
import org.apache.beam.sdk.values.KV;
import org.apache.beam.sdk.values.PCollection;
import org.apache.beam.sdk.values.PCollectionTuple;
import org.apache.beam.sdk.values.PCollectionView;
import org.apache.beam.sdk.values.TupleTag;
import org.apache.beam.sdk.values.TupleTagList;
import org.apache.beam.sdk.values.TypeDescriptors;

/**
 * Turns daily weather observations into one line of statistics for each month.
 *
 * <p>Input: CSV with the columns date (2012/01/31), precipitation (mm), temp_max and temp_min (Celsius), wind (m/s) and weather.
 * Output: {@code month,days,wet days,precipitation,highest,lowest,windiest,above average}, where the last is how many days were
 * warmer than the mean of the whole file. Lines that cannot be read go to {@code <output>_rejected}; the line that names the
 * columns is dropped.
 */
public final class Weather {
  private static final TupleTag<Day> DAYS = new TupleTag<>() {};
  private static final TupleTag<String> REJECTED = new TupleTag<>() {};

  /** One day's observations. Measures are in tenths, as the stations give them, so that sums are exact. */
  record Day(String month, long precipitation, long highest, long lowest, long wind) implements Serializable {}

  /** The statistics of several days. */
  record Summary(long days, long wet, long precipitation, long highest, long lowest, long wind, long warm)
      implements Serializable {
    Summary merge(Summary other) {
      return new Summary(
          days + other.days,
          wet + other.wet,
          precipitation + other.precipitation,
          Math.max(highest, other.highest),
          Math.min(lowest, other.lowest),
          Math.max(wind, other.wind),
          warm + other.warm);
    }

    static Summary of(Day day, double mean) {
      return new Summary(
          1,
          day.precipitation() > 0 ? 1 : 0,
          day.precipitation(),
          day.highest(),
          day.lowest(),
          day.wind(),
          day.highest() > mean ? 1 : 0);
    }
  }

  /** Reads a CSV line; what does not parse goes to the output {@code REJECTED}. */
  static class ParseDay extends DoFn<String, Day> {
    @ProcessElement
    public void process(@Element String line, MultiOutputReceiver out) {
      if (line.startsWith("date,")) {
        return;
      }
      String[] fields = line.split(",", -1);
      String[] date = fields[0].split("/");
      if (fields.length != 6 || date.length != 3) {
        out.get(REJECTED).output(line);
        return;
      }
      Day day;
      try {
        day = new Day(date[0] + "-" + date[1], tenths(fields[1]), tenths(fields[2]), tenths(fields[3]), tenths(fields[4]));
      } catch (NumberFormatException e) {
        out.get(REJECTED).output(line);
        return;
      }
      out.get(DAYS).output(day);
    }

    private static long tenths(String text) {
      return Math.round(Double.parseDouble(text) * 10);
    }
  }

  /** Keys a day's statistics by its month, given the mean of all days' highest temperatures. */
  static class KeyByMonth extends DoFn<Day, KV<String, Summary>> {
    private final PCollectionView<Double> mean;

    KeyByMonth(PCollectionView<Double> mean) {
      this.mean = mean;
    }

    @ProcessElement
    public void process(ProcessContext context) {
      Day day = context.element();
      context.output(KV.of(day.month(), Summary.of(day, context.sideInput(mean))));
    }
  }

  private Weather() {}

  private static String format(KV<String, Summary> month) {
    Summary s = month.getValue();
    return String.format(
        Locale.ROOT,
        "%s,%d,%d,%.1f,%.1f,%.1f,%.1f,%d",
        month.getKey(),
        s.days(),
        s.wet(),
        s.precipitation() / 10.0,
        s.highest() / 10.0,
        s.lowest() / 10.0,
        s.wind() / 10.0,
        s.warm());
  }

  public static void main(String[] args) {
    WordCount.Options options = PipelineOptionsFactory.fromArgs(args).withValidation().as(WordCount.Options.class);
    Pipeline pipeline = Pipeline.create(options);
    pipeline.getCoderRegistry().registerCoderForClass(Day.class, SerializableCoder.of(Day.class));
    pipeline.getCoderRegistry().registerCoderForClass(Summary.class, SerializableCoder.of(Summary.class));

    PCollectionTuple parsed =
        pipeline
            .apply("Read", TextIO.read().from(options.getInput()))
            .apply("Parse", ParDo.of(new ParseDay()).withOutputTags(DAYS, TupleTagList.of(REJECTED)));
    PCollection<Day> days = parsed.get(DAYS);
    PCollectionView<Double> mean =
        days.apply("Highest", MapElements.into(TypeDescriptors.longs()).via(Day::highest))
            .apply("Mean", Mean.globally())
            .apply("AsSingleton", View.asSingleton());
    days.apply("KeyByMonth", ParDo.of(new KeyByMonth(mean)).withSideInputs(mean))
        .apply("Summarize", Combine.perKey((Summary a, Summary b) -> a.merge(b)))
        .apply("Format", MapElements.into(TypeDescriptors.strings()).via(Weather::format))
        .apply("Write", TextIO.write().to(options.getOutput()));
    parsed.get(REJECTED).apply("WriteRejected", TextIO.write().to(options.getOutput() + "_rejected"));
    pipeline.run().waitUntilFinish();
  }
}
