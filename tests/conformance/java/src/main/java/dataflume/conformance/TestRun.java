package dataflume.conformance;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.internal.AssumptionViolatedException;
import org.junit.runner.Description;
import org.junit.runner.JUnitCore;
import org.junit.runner.Request;
import org.junit.runner.manipulation.Filter;
import org.junit.runner.notification.Failure;
import org.junit.runner.notification.RunListener;

/** Runs tests one at a time, each in a thread of its own with a time limit. */
final class TestRun {
  /** How long an interrupted test has to end. */
  private static final long GRACE_MS = 10_000;

  private final Events events;
  private final long limitMs;

  TestRun(Events events, long limitMs) {
    this.events = events;
    this.limitMs = limitMs;
  }

  void run(String name) {
    events.started(name);
    long start = System.nanoTime();
    Verdict verdict = new Verdict();
    CountDownLatch ended = new CountDownLatch(1);
    Thread thread =
        new Thread(
            () -> {
              try {
                execute(name, verdict);
              } catch (Throwable e) {
                verdict.fail(e.toString(), e);
              } finally {
                ended.countDown();
              }
            },
            name);
    thread.setDaemon(true);
    thread.start();
    boolean inTime = await(ended, limitMs);
    boolean stuck = false;
    if (!inTime) {
      thread.interrupt();
      stuck = !await(ended, GRACE_MS);
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    if (inTime) {
      events.ended(name, verdict.outcome, seconds, verdict.message);
    } else {
      events.ended(name, "timed_out", seconds, "not over after " + limitMs / 1000 + " s");
    }
    if (stuck) {
      Runtime.getRuntime().halt(Launcher.STUCK);
    }
  }

  /** The properties with the pipeline options of tests as wanted, and in workers of the runner's own. */
  private static final String USUAL_OPTIONS = "dataflume.options.usual";

  private static final String MANAGED_OPTIONS = "dataflume.options.managed";

  private static boolean await(CountDownLatch latch, long ms) {
    try {
      return latch.await(ms, TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      throw new IllegalStateException("nobody interrupts the launcher", e);
    }
  }

  private static void execute(String name, Verdict verdict) throws ClassNotFoundException {
    int dot = name.lastIndexOf('.');
    // Cross-language transforms are expanded before a LOOPBACK environment has its address.
    String options = System.getProperty(name.contains("Xlang") ? MANAGED_OPTIONS : USUAL_OPTIONS);
    System.setProperty("beamTestPipelineOptions", options);
    Class<?> type = Class.forName(name.substring(0, dot));
    JUnitCore core = new JUnitCore();
    core.addListener(verdict);
    core.run(Request.aClass(type).filterWith(named(name.substring(dot + 1))));
  }

  /** Keeps a method's test, or tests: a parameterized one is run as {@code method[0]} and so on. */
  private static Filter named(String method) {
    return new Filter() {
      @Override
      public boolean shouldRun(Description description) {
        if (description.isSuite()) {
          return description.getChildren().stream().anyMatch(this::shouldRun);
        }
        String found = description.getMethodName();
        return method.equals(found) || (found != null && found.startsWith(method + "["));
      }

      @Override
      public String describe() {
        return method;
      }
    };
  }

  /** What became of one test, also if JUnit splits it into several by parameters. */
  private static final class Verdict extends RunListener {
    private volatile String outcome = "failed";
    private volatile String message = "JUnit did not run it";
    private boolean over;

    @Override
    public synchronized void testFinished(Description description) {
      decide("passed", "");
    }

    @Override
    public synchronized void testIgnored(Description description) {
      decide("skipped", "@Ignore");
    }

    @Override
    public synchronized void testAssumptionFailure(Failure failure) {
      decide("skipped", failure.getMessage());
    }

    @Override
    public synchronized void testFailure(Failure failure) {
      if (failure.getException() instanceof AssumptionViolatedException) {
        decide("skipped", failure.getMessage());
      } else {
        fail(failure.getTrace(), failure.getException());
      }
    }

    private void decide(String newOutcome, String newMessage) {
      if (!over || outcome.equals("passed")) {
        outcome = newOutcome;
        message = String.valueOf(newMessage);
        over = true;
      }
    }

    synchronized void fail(String trace, Throwable cause) {
      if (over && outcome.equals("failed")) {
        return;
      }
      outcome = "failed";
      message = trace;
      over = true;
      // What JUnit wraps is often only "test failed"; the log gets all of it.
      cause.printStackTrace();
    }
  }
}
