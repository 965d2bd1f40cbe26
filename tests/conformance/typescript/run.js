// Runs the TypeScript SDK's own tests that run pipelines, on the job service that BEAM_SERVICE_OVERRIDES names.
//
//   node run.js list FILE                    writes the names of the tests, one a line
//   node run.js run TESTS EVENTS SECONDS     runs those that the file TESTS names, each for at most SECONDS
//
// What happens is told to EVENTS, one JSON object a line.

const fs = require("fs");
const path = require("path");
const Mocha = require("mocha");

// The package can be loaded from its entry only: its modules need each other.
const beam = require("apache-beam");
const direct = require("apache-beam/runners/direct_runner");
const runners = require("apache-beam/runners/runner");

/** The files of the package's tests that run pipelines. */
const FILES = ["combine_test.js", "docs/programming_guide.js", "io_test.js", "primitives_test.js", "wordcount.js"];

/** These are there again under the name of the portable runner. */
const TWICE = "direct runner";

const LONGEST_MESSAGE = 4000;

// A test that doesn't choose a runner gets the SDK's own, within the process, where that can run the pipeline.
direct.directRunner = (options) => runners.loopbackRunner(options);
runners.createRunner = (options) => runners.loopbackRunner(options);
Object.defineProperty(beam, "createRunner", { get: () => runners.createRunner });

function nameOf(test) {
  return [path.basename(test.file, ".js"), ...test.titlePath()].join(" > ");
}

function load() {
  const folder = path.join(path.dirname(require.resolve("apache-beam")), "../../test");
  const mocha = new Mocha({ reporter: "spec" });
  FILES.forEach((file) => mocha.addFile(path.join(folder, file)));
  mocha.lazyLoadFiles(true);
  mocha.loadFiles();
  return mocha;
}

/** Keeps the suite's tests, and those of the suites in it, that are wanted. */
function keep(suite, wanted) {
  suite.tests = suite.tests.filter(wanted);
  suite.suites.forEach((inner) => keep(inner, wanted));
}

function list(file) {
  const names = [];
  load().suite.eachTest((test) => names.push(nameOf(test)));
  fs.writeFileSync(file, names.filter((name) => !name.includes(` > ${TWICE} > `)).join("\n"));
}

/** What became of a test that is over. */
function outcomeOf(test, error) {
  if (test.isPending()) {
    return "skipped";
  }
  const isLate = error && error.code === "ERR_MOCHA_TIMEOUT";
  return isLate ? "timed_out" : error ? "failed" : "passed";
}

function run(testsFile, eventsFile, seconds) {
  const names = new Set(fs.readFileSync(testsFile, "utf8").split("\n"));
  const tell = (event) => fs.appendFileSync(eventsFile, JSON.stringify(event) + "\n");
  const mocha = load();
  keep(mocha.suite, (test) => names.has(nameOf(test)));
  // The tests' own limits are for a machine that does nothing else.
  mocha.suite.eachTest((test) => test.timeout(seconds * 1000));

  const errors = new Map();
  const runner = mocha.run(() => process.exit(0));
  runner.on("test", (test) => tell({ event: "start", test: nameOf(test) }));
  runner.on("fail", (test, error) => errors.set(test, error));
  runner.on("test end", (test) => {
    const error = errors.get(test);
    const message = error ? String(error.stack || error).slice(0, LONGEST_MESSAGE) : "";
    const outcome = outcomeOf(test, error);
    tell({ event: "end", test: nameOf(test), outcome, seconds: (test.duration || 0) / 1000, message });
  });
}

const [command, ...parameters] = process.argv.slice(2);
if (command === "list" && parameters.length === 1) {
  list(...parameters);
  process.exit(0);
} else if (command === "run" && parameters.length === 3) {
  run(...parameters);
} else {
  console.error("usage: run.js list FILE | run.js run TESTS EVENTS SECONDS");
  process.exit(2);
}
