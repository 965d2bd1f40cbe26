import java.io.FileOutputStream;
import java.util.Arrays;
import java.util.Map;
import org.apache.beam.model.pipeline.v1.RunnerApi;
import org.apache.beam.sdk.Pipeline;
import org.apache.beam.sdk.coders.VarIntCoder;
import org.apache.beam.sdk.io.TextIO;
import org.apache.beam.sdk.options.PipelineOptionsFactory;
import org.apache.beam.sdk.options.PortablePipelineOptions;
import org.apache.beam.sdk.state.*;
import org.apache.beam.sdk.transforms.*;
import org.apache.beam.sdk.transforms.windowing.*;
import org.apache.beam.sdk.util.construction.PipelineTranslation;
import org.apache.beam.sdk.util.construction.SdkComponents;
import org.apache.beam.sdk.values.*;
import org.joda.time.Duration;

/** Writes java.pb into the folder given, with Beam 2.65.0 or later on the class path. */
public class Make {
  /** Never run. */
  public static class Never extends org.apache.beam.sdk.PipelineRunner<org.apache.beam.sdk.PipelineResult> {
    public static Never fromOptions(org.apache.beam.sdk.options.PipelineOptions options) { return new Never(); }
    @Override public org.apache.beam.sdk.PipelineResult run(Pipeline p) { return null; }
  }

  static class Split extends DoFn<String, KV<String, Integer>> {
    @ProcessElement
    public void process(@Element String line, OutputReceiver<KV<String, Integer>> out) {
      for (String word : line.split(" ")) out.output(KV.of(word, 1));
    }
  }

  static class Stateful extends DoFn<KV<String, Integer>, Integer> {
    @StateId("sum") private final StateSpec<ValueState<Integer>> sum = StateSpecs.value(VarIntCoder.of());
    @TimerId("flush") private final TimerSpec flush = TimerSpecs.timer(TimeDomain.EVENT_TIME);

    @RequiresTimeSortedInput
    @ProcessElement
    public void process(ProcessContext c, @StateId("sum") ValueState<Integer> sum, @TimerId("flush") Timer flush) {
      flush.offset(Duration.standardSeconds(1)).setRelative();
    }

    @OnTimer("flush")
    public void flush(OnTimerContext c) {}

    @OnWindowExpiration
    public void expire(@StateId("sum") ValueState<Integer> sum, OutputReceiver<Integer> out) {
      out.output(sum.read());
    }
  }

  static class Look extends DoFn<KV<String, Integer>, String> {
    final PCollectionView<Map<String, Integer>> view;
    Look(PCollectionView<Map<String, Integer>> view) { this.view = view; }

    @ProcessElement
    public void process(ProcessContext c) { c.output(c.element().getKey() + c.sideInput(view)); }
  }

  public static void main(String[] args) throws Exception {
    PortablePipelineOptions options = PipelineOptionsFactory.create().as(PortablePipelineOptions.class);
    options.setDefaultEnvironmentType("EXTERNAL");
    options.setDefaultEnvironmentConfig("localhost:1");
    options.setFilesToStage(Arrays.asList());
    options.setRunner(Never.class);
    Pipeline p = Pipeline.create(options);
    PCollection<KV<String, Integer>> words =
        p.apply("Read", TextIO.read().from("/dev/null")).apply("Split", ParDo.of(new Split()));
    PCollection<KV<String, Integer>> counts = words.apply("Count", Sum.integersPerKey());
    PCollectionView<Map<String, Integer>> view = counts.apply("View", View.asMap());
    words.apply("Look", ParDo.of(new Look(view)).withSideInputs(view));
    words.apply("Fixed", Window.into(FixedWindows.of(Duration.standardMinutes(1)))).apply("State", ParDo.of(new Stateful()));
    SdkComponents components = SdkComponents.create(options);
    RunnerApi.Pipeline.Builder proto = PipelineTranslation.toProto(p, components, false).toBuilder();
    proto.getComponentsBuilder().getEnvironmentsMap().forEach((id, e) -> proto.getComponentsBuilder().putEnvironments(id, e.toBuilder().clearDependencies().build()));
    proto.getComponentsBuilder().getTransformsMap().forEach((id, t) -> proto.getComponentsBuilder().putTransforms(id, t.toBuilder().clearDisplayData().clearAnnotations().build()));
    try (FileOutputStream out = new FileOutputStream(args[0] + "/java.pb")) { proto.build().writeTo(out); }
  }
}
