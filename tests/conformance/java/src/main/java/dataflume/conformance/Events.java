package dataflume.conformance;

import java.io.PrintStream;

/** Writes what happens, one JSON object a line. */
final class Events {
  private static final int LONGEST_MESSAGE = 4000;

  private final PrintStream out;

  Events(PrintStream out) {
    this.out = out;
  }

  void started(String test) {
    out.println("{\"event\":\"start\",\"test\":" + quote(test) + "}");
  }

  void ended(String test, String outcome, double seconds, String message) {
    String shortened = message.length() > LONGEST_MESSAGE ? message.substring(0, LONGEST_MESSAGE) : message;
    out.println(
        "{\"event\":\"end\",\"test\":"
            + quote(test)
            + ",\"outcome\":"
            + quote(outcome)
            + ",\"seconds\":"
            + String.format(java.util.Locale.ROOT, "%.3f", seconds)
            + ",\"message\":"
            + quote(shortened)
            + "}");
  }

  private static String quote(String text) {
    StringBuilder quoted = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      if (c == '"' || c == '\\') {
        quoted.append('\\').append(c);
      } else if (c < 0x20 || Character.isSurrogate(c)) {
        quoted.append(String.format("\\u%04x", (int) c));
      } else {
        quoted.append(c);
      }
    }
    return quoted.append('"').toString();
  }
}
