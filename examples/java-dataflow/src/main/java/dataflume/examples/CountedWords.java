package dataflume.examples;

import org.apache.beam.sdk.Pipeline;
import org.apache.beam.sdk.PipelineResult;
import org.apache.beam.sdk.io.TextIO;
import org.apache.beam.sdk.metrics.Counter;
import org.apache.beam.sdk.metrics.Distribution;
import org.apache.beam.sdk.metrics.DistributionResult;
import org.apache.beam.sdk.metrics.MetricQueryResults;
import org.apache.beam.sdk.metrics.MetricResult;
import org.apache.beam.sdk.metrics.Metrics;
import org.apache.beam.sdk.metrics.MetricsFilter;
import org.apache.beam.sdk.options.Description;
import org.apache.beam.sdk.options.PipelineOptions;
import org.apache.beam.sdk.options.PipelineOptionsFactory;
import org.apache.beam.sdk.options.Validation;
import org.apache.beam.sdk.transforms.Count;
import org.apache.beam.sdk.transforms.DoFn;
import org.apache.beam.sdk.transforms.MapElements;
import org.apache.beam.sdk.transforms.ParDo;
import org.apache.beam.sdk.values.KV;
import org.apache.beam.sdk.values.TypeDescriptors;

/** A word count as it is written for Dataflow: from bucket to bucket, with metrics that are read back. */
public final class CountedWords {
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

  /** Counts the words and their lengths as it goes. */
  static final class Split extends DoFn<String, String> {
    private final Counter words = Metrics.counter("wordcount", "words");
    private final Distribution lengths = Metrics.distribution("wordcount", "lengths");

    @ProcessElement
    public void process(@Element String line, OutputReceiver<String> receiver) {
      for (String word : line.split("[^A-Za-z']+")) {
        if (!word.isEmpty()) {
          words.inc();
          lengths.update(word.length());
          receiver.output(word);
        }
      }
    }
  }

  private CountedWords() {}

  public static void main(String[] args) {
    Options options = PipelineOptionsFactory.fromArgs(args).withValidation().as(Options.class);
    Pipeline pipeline = Pipeline.create(options);
    pipeline
        .apply("Read", TextIO.read().from(options.getInput()))
        .apply("Split", ParDo.of(new Split()))
        .apply("Count", Count.perElement())
        .apply(
            "Format",
            MapElements.into(TypeDescriptors.strings())
                .via((KV<String, Long> count) -> count.getKey() + ": " + count.getValue()))
        .apply("Write", TextIO.write().to(options.getOutput()));
    PipelineResult result = pipeline.run();
    System.out.println("state " + result.waitUntilFinish());
    show(result.metrics().queryMetrics(MetricsFilter.builder().build()));
  }

  private static void show(MetricQueryResults metrics) {
    for (MetricResult<Long> counter : metrics.getCounters()) {
      if (counter.getName().getName().equals("words")) {
        System.out.printf(
            "counter %s %s %d %d%n",
            counter.getKey().stepName(),
            counter.getName().getNamespace(),
            counter.getAttempted(),
            counter.getCommitted());
      }
    }
    for (MetricResult<DistributionResult> lengths : metrics.getDistributions()) {
      if (lengths.getName().getName().equals("lengths")) {
        DistributionResult committed = lengths.getCommitted();
        System.out.printf("distribution %d %d%n", committed.getCount(), committed.getMin());
      }
    }
  }
}
