package dataflume.examples;

import java.util.Locale;
import java.util.Map;
import java.util.stream.StreamSupport;
import org.apache.beam.sdk.Pipeline;
import org.apache.beam.sdk.PipelineResult;
import org.apache.beam.sdk.coders.StringUtf8Coder;
import org.apache.beam.sdk.coders.VarIntCoder;
import org.apache.beam.sdk.io.TextIO;
import org.apache.beam.sdk.metrics.BoundedTrie;
import org.apache.beam.sdk.metrics.Counter;
import org.apache.beam.sdk.metrics.Distribution;
import org.apache.beam.sdk.metrics.MetricQueryResults;
import org.apache.beam.sdk.metrics.MetricResult;
import org.apache.beam.sdk.metrics.Metrics;
import org.apache.beam.sdk.metrics.MetricsFilter;
import org.apache.beam.sdk.metrics.StringSet;
import org.apache.beam.sdk.options.Description;
import org.apache.beam.sdk.options.PipelineOptions;
import org.apache.beam.sdk.options.PipelineOptionsFactory;
import org.apache.beam.sdk.options.Validation;
import org.apache.beam.sdk.state.MultimapState;
import org.apache.beam.sdk.state.StateSpec;
import org.apache.beam.sdk.state.StateSpecs;
import org.apache.beam.sdk.transforms.DoFn;
import org.apache.beam.sdk.transforms.ParDo;
import org.apache.beam.sdk.values.KV;

/**
 * An index of words: a multimap for each first letter keeps at which place of its line every word
 * was found. At the end it tells how often that was, but forgets "the".
 */
public final class WordPlaces {
  private static final String FORGOTTEN = "the";

  /** The flags of this pipeline, beside those of the SDK and the runner. */
  public interface Options extends PipelineOptions {
    @Description("Object or pattern to read")
    @Validation.Required
    String getInput();

    void setInput(String input);

    @Description("Prefix of the objects to write")
    @Validation.Required
    String getOutput();

    void setOutput(String output);
  }

  /** Words and their places, by their first letters. */
  static final class Split extends DoFn<String, KV<String, KV<String, Integer>>> {
    @ProcessElement
    public void process(
        @Element String line, OutputReceiver<KV<String, KV<String, Integer>>> receiver) {
      int place = 0;
      for (String word : line.split("[^A-Za-z']+")) {
        if (!word.isEmpty()) {
          String letter = word.substring(0, 1).toLowerCase(Locale.ROOT);
          receiver.output(KV.of(letter, KV.of(word, place++)));
        }
      }
    }
  }

  /** Remembers places, and tells of them when the window is over. */
  static final class Remember extends DoFn<KV<String, KV<String, Integer>>, String> {
    @StateId("places")
    private final StateSpec<MultimapState<String, Integer>> spec =
        StateSpecs.multimap(StringUtf8Coder.of(), VarIntCoder.of());

    private final Counter put = Metrics.counter("places", "put");
    private final Distribution places = Metrics.distribution("places", "places");
    private final StringSet letters = Metrics.stringSet("places", "letters");
    private final BoundedTrie beginnings = Metrics.boundedTrie("places", "beginnings");

    @ProcessElement
    public void process(
        @Element KV<String, KV<String, Integer>> element,
        @StateId("places") MultimapState<String, Integer> state) {
      KV<String, Integer> word = element.getValue();
      state.put(word.getKey(), word.getValue());
      put.inc();
      places.update(word.getValue());
      letters.add(element.getKey());
      beginnings.add(element.getKey());
    }

    @OnWindowExpiration
    public void tell(
        @StateId("places") MultimapState<String, Integer> state, OutputReceiver<String> receiver) {
      state.remove(FORGOTTEN);
      if (state.containsKey(FORGOTTEN).read() || state.isEmpty().read()) {
        throw new IllegalStateException("the multimap is not what it was left as");
      }
      for (String word : state.keys().read()) {
        receiver.output(word + ": " + count(state.get(word).read()));
      }
      long entries = count(state.entries().read());
      for (Map.Entry<String, Integer> entry : state.entries().read()) {
        if (entry.getValue() < 0) {
          throw new IllegalStateException("no place: " + entry);
        }
      }
      state.clear();
      if (!state.isEmpty().read() || count(state.keys().read()) != 0) {
        throw new IllegalStateException(entries + " entries were not cleared");
      }
    }

    private static long count(Iterable<?> values) {
      return StreamSupport.stream(values.spliterator(), false).count();
    }
  }

  private WordPlaces() {}

  public static void main(String[] args) {
    Options options = PipelineOptionsFactory.fromArgs(args).withValidation().as(Options.class);
    Pipeline pipeline = Pipeline.create(options);
    pipeline
        .apply("Read", TextIO.read().from(options.getInput()))
        .apply("Split", ParDo.of(new Split()))
        .apply("Remember", ParDo.of(new Remember()))
        .apply("Write", TextIO.write().to(options.getOutput()));
    PipelineResult result = pipeline.run();
    System.out.println("state " + result.waitUntilFinish());
    MetricQueryResults metrics = result.metrics().queryMetrics(MetricsFilter.builder().build());
    show(metrics.getCounters());
    show(metrics.getDistributions());
    show(metrics.getStringSets());
    show(metrics.getBoundedTries());
  }

  private static <T> void show(Iterable<MetricResult<T>> results) {
    for (MetricResult<T> result : results) {
      if (result.getName().getNamespace().equals("places")) {
        System.out.println("committed " + result.getName().getName() + " " + result.getCommitted());
      }
    }
  }
}
