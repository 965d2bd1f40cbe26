package dataflume.conformance;

import org.apache.beam.runners.dataflow.TestDataflowRunner;
import org.apache.beam.sdk.Pipeline;
import org.apache.beam.sdk.PipelineResult;
import org.apache.beam.sdk.PipelineRunner;
import org.apache.beam.sdk.extensions.gcp.options.GcsOptions;
import org.apache.beam.sdk.options.PipelineOptions;

/**
 * Dataflow's runner of tests, which is told where Cloud Storage is. The option for that doesn't get here: a test's pipeline copies its
 * options by way of JSON, and this one is left out of it.
 */
public final class LocalDataflowRunner extends PipelineRunner<PipelineResult> {
  private static final String GCS_ENDPOINT = "dataflume.gcs.endpoint";

  private final TestDataflowRunner runner;

  private LocalDataflowRunner(TestDataflowRunner runner) {
    this.runner = runner;
  }

  /** Called by the SDK. */
  public static LocalDataflowRunner fromOptions(PipelineOptions options) {
    options.as(GcsOptions.class).setGcsEndpoint(System.getProperty(GCS_ENDPOINT));
    return new LocalDataflowRunner(TestDataflowRunner.fromOptions(options));
  }

  @Override
  public PipelineResult run(Pipeline pipeline) {
    return runner.run(pipeline);
  }
}
