package dataflume.conformance;

import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.CodeSource;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.jar.JarFile;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.beam.sdk.testing.NeedsRunner;
import org.apache.beam.sdk.testing.TestPipeline;
import org.apache.beam.sdk.testing.ValidatesRunner;
import org.junit.Test;
import org.junit.experimental.categories.Category;

/**
 * Finds and runs Beam's own tests: those of the core's tests jar in the categories ValidatesRunner and NeedsRunner, and those of
 * the extensions' and connectors' tests jars that run a pipeline, whose categories are {@code Extensions}, {@code Sql} and {@code Io}.
 *
 * <pre>
 * Launcher list FILE CATEGORY          writes the names of a category's tests, one {@code class.method} a line
 * Launcher run TESTS EVENTS SECONDS    runs the tests named in the file TESTS, each for at most SECONDS
 * </pre>
 *
 * What runs is told to EVENTS as it happens, one JSON object a line, so that whoever started this knows which test was running
 * when it died. A test beyond its time is interrupted; if that does not help, the process ends and has to be started again with
 * the rest of the tests.
 */
public final class Launcher {
  /** The exit code for "a test could not be stopped". */
  static final int STUCK = 3;

  /** The categories of what is in the jars of extensions and connectors, with their names. */
  private static final Map<String, String> EXTENSIONS =
      Map.of(
          "Extensions", "beam-sdks-java-extensions-.*-tests[.]jar",
          "Sql", "beam-sdks-java-extensions-sql-.*-tests[.]jar",
          "Io", "beam-sdks-java-io-.*-tests[.]jar");

  private Launcher() {}

  public static void main(String[] args) throws Exception {
    if (args.length == 3 && args[0].equals("list")) {
      Files.write(Path.of(args[1]), list(args[2]));
    } else if (args.length == 4 && args[0].equals("run")) {
      List<String> tests = Files.readAllLines(Path.of(args[1]));
      try (PrintStream events = new PrintStream(new FileOutputStream(args[2], true), true, StandardCharsets.UTF_8)) {
        TestRun run = new TestRun(new Events(events), Long.parseLong(args[3]) * 1000);
        tests.forEach(run::run);
      }
    } else {
      System.err.println("usage: Launcher list FILE CATEGORY | Launcher run TESTS EVENTS SECONDS");
      System.exit(2);
    }
    // Harness threads of failed pipelines may still be there.
    System.exit(0);
  }

  private static List<String> list(String category) throws IOException {
    List<String> classes = new ArrayList<>();
    for (Path path : isOfExtensions(category) ? jarsOfExtensions(category) : List.of(jarOfCore())) {
      try (JarFile jar = new JarFile(path.toFile())) {
        jar.stream()
            .map(entry -> entry.getName())
            .filter(name -> name.startsWith("org/apache/beam/sdk/") && name.endsWith(".class"))
            .forEach(name -> classes.add(name.substring(0, name.length() - ".class".length()).replace('/', '.')));
      }
    }
    TreeSet<String> tests = new TreeSet<>();
    for (String name : classes) {
      try {
        addTests(Class.forName(name, false, Launcher.class.getClassLoader()), category, tests);
      } catch (LinkageError | ClassNotFoundException e) {
        System.err.println("cannot look into " + name + ": " + e);
      }
    }
    return new ArrayList<>(tests);
  }

  private static Path jarOfCore() {
    CodeSource source = org.apache.beam.sdk.testing.PAssertTest.class.getProtectionDomain().getCodeSource();
    return Path.of(source.getLocation().getPath());
  }

  private static boolean isOfExtensions(String category) {
    return EXTENSIONS.containsKey(category);
  }

  private static List<Path> jarsOfExtensions(String category) {
    String[] all = System.getProperty("java.class.path").split(File.pathSeparator);
    return Stream.of(all)
        .map(Path::of)
        .filter(path -> path.getFileName().toString().matches(EXTENSIONS.get(category)))
        .collect(Collectors.toList());
  }

  private static void addTests(Class<?> type, String category, TreeSet<String> tests) {
    if (Modifier.isAbstract(type.getModifiers()) || type.getName().endsWith("IT")) {
      // What ends so is a test of a service in the cloud, or in a container.
      return;
    }
    for (Method method : type.getMethods()) {
      if (method.isAnnotationPresent(Test.class) && isWanted(type, method, category)) {
        tests.add(type.getName() + "." + method.getName());
      }
    }
  }

  private static boolean isWanted(Class<?> type, Method method, String category) {
    String own = categoryOf(type, method);
    // Tests of extensions seldom name one.
    return isOfExtensions(category) ? !own.isEmpty() || hasPipeline(type) : category.equals(own);
  }

  private static boolean hasPipeline(Class<?> type) {
    return Stream.of(type.getFields()).anyMatch(field -> TestPipeline.class.isAssignableFrom(field.getType()));
  }

  /** The category that a test counts to. What validates a runner needs one too, and counts once. */
  private static String categoryOf(Class<?> type, Method method) {
    if (isOf(method, ValidatesRunner.class) || isOf(type, ValidatesRunner.class)) {
      return "ValidatesRunner";
    }
    return isOf(method, NeedsRunner.class) || isOf(type, NeedsRunner.class) ? "NeedsRunner" : "";
  }

  private static boolean isOf(java.lang.reflect.AnnotatedElement element, Class<?> wanted) {
    Category category = element.getAnnotation(Category.class);
    List<Class<?>> categories = category == null ? Collections.emptyList() : List.of(category.value());
    return categories.stream().anyMatch(wanted::isAssignableFrom);
  }
}
