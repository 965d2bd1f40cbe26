package dataflume.bench;

import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.apache.beam.sdk.Pipeline;
import org.apache.beam.sdk.coders.ByteArrayCoder;
import org.apache.beam.sdk.coders.KvCoder;
import org.apache.beam.sdk.coders.VarIntCoder;
import org.apache.beam.sdk.io.TextIO;
import org.apache.beam.sdk.transforms.Count;
import org.apache.beam.sdk.transforms.Create;
import org.apache.beam.sdk.transforms.DoFn;
import org.apache.beam.sdk.transforms.FlatMapElements;
import org.apache.beam.sdk.transforms.GroupByKey;
import org.apache.beam.sdk.transforms.MapElements;
import org.apache.beam.sdk.transforms.ParDo;
import org.apache.beam.sdk.transforms.Reshuffle;
import org.apache.beam.sdk.transforms.Sum;
import org.apache.beam.sdk.values.KV;
import org.apache.beam.sdk.values.PCollection;
import org.apache.beam.sdk.values.TypeDescriptors;

/** The pipelines that are measured. */
enum Cases {
  TINY {
    @Override
    void build(Pipeline pipeline, Bench.Options options) {
      pipeline
          .apply(Create.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10))
          .apply(MapElements.into(TypeDescriptors.integers()).via(n -> n + 1));
    }
  },

  WORDCOUNT {
    @Override
    void build(Pipeline pipeline, Bench.Options options) throws IOException {
      Path folder = Path.of(options.getFolder());
      pipeline
          .apply(TextIO.read().from(text(folder, options.getSize()).toString()))
          .apply(
              FlatMapElements.into(TypeDescriptors.strings())
                  .via((String line) -> List.of(line.split("[^\\p{L}\\d]+"))))
          .apply(Count.perElement())
          .apply(
              MapElements.into(TypeDescriptors.strings())
                  .via((KV<String, Long> count) -> count.getKey() + ": " + count.getValue()))
          .apply(TextIO.write().to(folder.resolve("counts").toString()));
    }
  },

  GBK {
    @Override
    void build(Pipeline pipeline, Bench.Options options) {
      shards(pipeline)
          .apply(ParDo.of(new Keyed(options.getSize())))
          .setCoder(KvCoder.of(VarIntCoder.of(), ByteArrayCoder.of()))
          .apply(GroupByKey.create())
          .apply(ParDo.of(new CountValues()));
    }
  },

  COMBINE {
    @Override
    void build(Pipeline pipeline, Bench.Options options) {
      shards(pipeline)
          .apply(ParDo.of(new Numbers(options.getSize())))
          .setCoder(KvCoder.of(VarIntCoder.of(), VarIntCoder.of()))
          .apply(Sum.integersPerKey());
    }
  };

  /** Elements are made by the workers, in this many pieces. */
  private static final int SHARDS = 20;

  private static final int VALUE_BYTES = 100;

  private static final String[] WORDS =
      "the quick brown fox jumps over a lazy dog while rain falls on every roof in town".split(" ");

  abstract void build(Pipeline pipeline, Bench.Options options) throws IOException;

  private static PCollection<Integer> shards(Pipeline pipeline) {
    return pipeline
        .apply(Create.of(IntStream.range(0, SHARDS).boxed().toList()))
        .apply(Reshuffle.viaRandomKey());
  }

  private static Path text(Path folder, long size) throws IOException {
    Path path = folder.resolve("text");
    Random source = new Random(1);
    try (BufferedWriter out = Files.newBufferedWriter(path)) {
      for (long written = 0; written < size; ) {
        StringBuilder line = new StringBuilder();
        for (int word = 0; word < 12; word++) {
          line.append(WORDS[source.nextInt(WORDS.length)]).append(source.nextInt(500)).append(' ');
        }
        out.append(line).append('\n');
        written += line.length() + 1;
      }
    }
    return path;
  }

  /** Makes values with random keys. */
  private static final class Keyed extends DoFn<Integer, KV<Integer, byte[]>> {
    private final long size;

    private Keyed(long size) {
      this.size = size;
    }

    @ProcessElement
    public void process(@Element Integer shard, OutputReceiver<KV<Integer, byte[]>> out) {
      Random source = new Random(shard);
      int keys = (int) Math.max(1, size / 10);
      for (long n = 0; n < size / SHARDS; n++) {
        byte[] value = new byte[VALUE_BYTES];
        out.output(KV.of(source.nextInt(keys), value));
      }
    }
  }

  private static final class CountValues extends DoFn<KV<Integer, Iterable<byte[]>>, Long> {
    @ProcessElement
    public void process(
        @Element KV<Integer, Iterable<byte[]>> group, OutputReceiver<Long> out) {
      long count = 0;
      for (byte[] value : group.getValue()) {
        count += value.length / VALUE_BYTES;
      }
      out.output(count);
    }
  }

  private static final class Numbers extends DoFn<Integer, KV<Integer, Integer>> {
    private final long size;

    private Numbers(long size) {
      this.size = size;
    }

    @ProcessElement
    public void process(@Element Integer shard, OutputReceiver<KV<Integer, Integer>> out) {
      for (int n = 0; n < size / SHARDS; n++) {
        out.output(KV.of(n % 1000, n));
      }
    }
  }
}
