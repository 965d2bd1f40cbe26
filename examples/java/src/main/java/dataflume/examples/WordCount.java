package dataflume.examples;

import java.util.Arrays;
import org.apache.beam.sdk.Pipeline;
import org.apache.beam.sdk.io.TextIO;
import org.apache.beam.sdk.options.Description;
import org.apache.beam.sdk.options.PipelineOptions;
import org.apache.beam.sdk.options.PipelineOptionsFactory;
import org.apache.beam.sdk.options.Validation;
import org.apache.beam.sdk.transforms.Count;
import org.apache.beam.sdk.transforms.FlatMapElements;
import org.apache.beam.sdk.transforms.Filter;
import org.apache.beam.sdk.transforms.MapElements;
import org.apache.beam.sdk.values.KV;
import org.apache.beam.sdk.values.PCollection;
import org.apache.beam.sdk.values.TypeDescriptors;

/** Counts the words of text files and writes one {@code word: count} line for each. */
public final class WordCount {
  /** The flags of this pipeline, beside those of the SDK and the runner. */
  public interface Options extends PipelineOptions {
    @Description("File or pattern to read")
    @Validation.Required
    String getInput();

    void setInput(String input);

    @Description("Prefix of the files to write")
    @Validation.Required
    String getOutput();

    void setOutput(String output);
  }

  private WordCount() {}

  public static void main(String[] args) {
    Options options = PipelineOptionsFactory.fromArgs(args).withValidation().as(Options.class);
    Pipeline pipeline = Pipeline.create(options);
    counts(pipeline, options).apply("Write", TextIO.write().to(options.getOutput()));
    pipeline.run().waitUntilFinish();
  }

  static PCollection<String> counts(Pipeline pipeline, Options options) {
    return pipeline
        .apply("Read", TextIO.read().from(options.getInput()))
        .apply(
            "Split",
            FlatMapElements.into(TypeDescriptors.strings())
                .via((String line) -> Arrays.asList(line.split("[^\\p{Alpha}']+"))))
        .apply("DropEmpty", Filter.by((String word) -> !word.isEmpty()))
        .apply("Count", Count.perElement())
        .apply(
            "Format",
            MapElements.into(TypeDescriptors.strings())
                .via((KV<String, Long> count) -> count.getKey() + ": " + count.getValue()));
  }
}
