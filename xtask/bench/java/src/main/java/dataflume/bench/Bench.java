package dataflume.bench;

import java.io.IOException;
import java.util.Iterator;
import org.apache.beam.model.jobmanagement.v1.JobApi.GetJobStateRequest;
import org.apache.beam.model.jobmanagement.v1.JobApi.JobState;
import org.apache.beam.model.jobmanagement.v1.JobApi.JobStateEvent;
import org.apache.beam.model.jobmanagement.v1.JobServiceGrpc;
import org.apache.beam.sdk.Pipeline;
import org.apache.beam.sdk.PipelineResult;
import org.apache.beam.sdk.options.Description;
import org.apache.beam.sdk.options.PipelineOptions;
import org.apache.beam.sdk.options.PipelineOptionsFactory;
import org.apache.beam.sdk.options.PortablePipelineOptions;
import org.apache.beam.sdk.options.Validation;
import org.apache.beam.vendor.grpc.v1p69p0.com.google.protobuf.ByteString;
import org.apache.beam.vendor.grpc.v1p69p0.io.grpc.ManagedChannel;
import org.apache.beam.vendor.grpc.v1p69p0.io.grpc.ManagedChannelBuilder;

/**
 * Runs one case, and prints as JSON: "seconds" for the whole job as the SDK sees it, "run_seconds" for what remains of
 * it once the runner was told to run. The SDK itself asks every three seconds whether the job has ended; here the
 * runner tells.
 */
public final class Bench {
  /** What the program is told. */
  public interface Options extends PipelineOptions {
    @Description("Which case")
    @Validation.Required
    String getCase();

    void setCase(String name);

    @Description("Bytes of text, or elements")
    long getSize();

    void setSize(long size);

    @Description("Where texts are written and read")
    @Validation.Required
    String getFolder();

    void setFolder(String folder);
  }

  public static void main(String[] arguments) throws IOException, ReflectiveOperationException {
    PipelineOptionsFactory.register(Options.class);
    Options options =
        PipelineOptionsFactory.fromArgs(arguments).withValidation().as(Options.class);
    Pipeline pipeline = Pipeline.create(options);
    Cases.valueOf(options.getCase().toUpperCase()).build(pipeline, options);
    long began = System.nanoTime();
    PipelineResult result = pipeline.run();
    long running = System.nanoTime();
    String endpoint = options.as(PortablePipelineOptions.class).getJobEndpoint();
    JobState.Enum state = await(endpoint, jobOf(result));
    long ended = System.nanoTime();
    if (state != JobState.Enum.DONE) {
      throw new IllegalStateException("the job ended as " + state);
    }
    System.out.printf(
        "{\"seconds\": %.6f, \"run_seconds\": %.6f}%n",
        (ended - began) / 1e9, (ended - running) / 1e9);
    // The SDK's own threads would keep the process for a while.
    System.exit(0);
  }

  /** The portable runner's result knows its job's id, and has no method that tells it. */
  private static String jobOf(PipelineResult result) throws ReflectiveOperationException {
    var field = result.getClass().getDeclaredField("jobId");
    field.setAccessible(true);
    Object id = field.get(result);
    return id instanceof ByteString bytes ? bytes.toStringUtf8() : id.toString();
  }

  private static JobState.Enum await(String endpoint, String job) {
    ManagedChannel channel = ManagedChannelBuilder.forTarget(endpoint).usePlaintext().build();
    try {
      Iterator<JobStateEvent> events =
          JobServiceGrpc.newBlockingStub(channel)
              .getStateStream(GetJobStateRequest.newBuilder().setJobId(job).build());
      JobState.Enum last = JobState.Enum.UNSPECIFIED;
      while (events.hasNext() && !isEnd(last)) {
        last = events.next().getState();
      }
      return last;
    } finally {
      channel.shutdownNow();
    }
  }

  private static boolean isEnd(JobState.Enum state) {
    return switch (state) {
      case DONE, FAILED, CANCELLED, DRAINED -> true;
      default -> false;
    };
  }

  private Bench() {}
}
