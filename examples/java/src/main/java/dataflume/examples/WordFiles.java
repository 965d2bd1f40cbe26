package dataflume.examples;

import java.io.File;
import org.apache.beam.sdk.Pipeline;
import org.apache.beam.sdk.io.FileIO;
import org.apache.beam.sdk.io.TextIO;
import org.apache.beam.sdk.options.PipelineOptionsFactory;

/** Counts words as {@link WordCount} does, and leaves it to the runner into how many files the counts are written. */
public final class WordFiles {
  private WordFiles() {}

  public static void main(String[] args) {
    WordCount.Options options =
        PipelineOptionsFactory.fromArgs(args).withValidation().as(WordCount.Options.class);
    Pipeline pipeline = Pipeline.create(options);
    File output = new File(options.getOutput());
    WordCount.counts(pipeline, options)
        .apply(
            "Write",
            FileIO.<String>write()
                .via(TextIO.sink())
                .to(output.getParent())
                .withPrefix(output.getName()));
    pipeline.run().waitUntilFinish();
  }
}
