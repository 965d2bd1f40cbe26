//! Container images of Beam's SDK harnesses, made of what this machine has: for trying `DOCKER`
//! environments where the published images can't be pulled.
//!
//! An image holds Beam's own boot program, built from the Go module, the language's runtime as it is
//! installed here with every shared library it needs, and nothing else: no shell, no distribution.
//! It is meant for tests on the machine that made it, not for publishing.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::python::Beam;
use crate::stage::Counts;
use crate::workspace;

/// The Go example's module names the SDK whose boot programs are built.
const GO_MODULE: &str = "examples/go";
const BOOT: &str = "opt/apache/beam/boot";
const JARS: &str = "opt/apache/beam/jars";
/// The Java boot program looks here for more options.
const OPTIONS: &str = "opt/apache/beam/options";

/// With these, what a pipeline logs by other libraries gets to the harness too.
const BRIDGES: [&str; 3] = [
    "org.slf4j:jcl-over-slf4j:2.0.16",
    "org.slf4j:log4j-over-slf4j:2.0.16",
    "org.apache.logging.log4j:log4j-to-slf4j:2.20.0",
];
/// The goal that fetches a jar.
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy";

/// TLS 1.0 and 1.1 are a last resort in Beam's images, and switched off by Java itself.
const SECURITY: &str = "\
jdk.tls.disabledAlgorithms=SSLv3, RC4, DES, MD5withRSA, DH keySize < 1024, EC keySize < 224, 3DES_EDE_CBC, anon, NULL
jdk.tls.legacyAlgorithms=TLSv1, TLSv1.1
";

/// The SDKs with a boot program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sdk {
    /// With the Python that the tests use, and its packages.
    Python,
    /// With the `java` of the `PATH`, and the Java example's harness.
    Java,
    /// With the boot program alone: jobs bring their binary.
    Go,
}

impl Sdk {
    /// The name that the image gets. The SDK can be told from it, as from Beam's own.
    pub(crate) fn image(self) -> &'static str {
        match self {
            Self::Python => "dataflume-test/beam_python_sdk:2.77.0",
            Self::Java => "dataflume-test/beam_java_sdk:2.65.0",
            Self::Go => "dataflume-test/beam_go_sdk:2.77.0",
        }
    }

    fn module(self) -> &'static str {
        match self {
            Self::Python => "github.com/apache/beam/sdks/v2/python/container",
            Self::Java => "github.com/apache/beam/sdks/v2/java/container",
            Self::Go => "github.com/apache/beam/sdks/v2/go/container",
        }
    }
}

/// Makes the image with the `docker` of the `PATH`, and prints its name. Takes about a minute.
pub(crate) fn make(sdk: Sdk) -> Result<bool> {
    let root = Root::create(sdk)?;
    root.add_boot(sdk)?;
    root.add_system()?;
    match sdk {
        Sdk::Python => root.add_python(&Beam::ensure()?.python)?,
        Sdk::Java => root.add_java()?,
        Sdk::Go => {}
    }
    root.add_libraries()?;
    root.import(sdk.image())?;
    fs::remove_dir_all(&root.folder)?;
    println!("{}", sdk.image());
    Ok(true)
}

/// Makes the images that are missing, so that the tests can use them. Without a Docker daemon there is
/// nothing to do: those tests say that they were skipped.
pub(crate) fn stage() -> Result<Counts> {
    if !answers(&["info"]) {
        println!("no Docker daemon answers: nothing will be tested in containers");
        return Ok(Counts::default());
    }
    for sdk in [Sdk::Python, Sdk::Java, Sdk::Go] {
        ensure(sdk)?;
    }
    Ok(Counts::default())
}

/// Makes the image if there is none.
pub(crate) fn ensure(sdk: Sdk) -> Result<()> {
    if !answers(&["image", "inspect", sdk.image()]) {
        make(sdk)?;
    }
    Ok(())
}

/// Whether `docker` succeeds.
fn answers(arguments: &[&str]) -> bool {
    let output = Command::new("docker").args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

/// The image's file system while it is put together.
struct Root {
    folder: PathBuf,
}

impl Root {
    fn create(sdk: Sdk) -> Result<Self> {
        let name = format!("{sdk:?}").to_lowercase();
        let folder = workspace::target()?.join("sdk-images").join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        for name in ["etc", "usr/local/bin", "tmp", JARS, OPTIONS] {
            fs::create_dir_all(folder.join(name))?;
        }
        fs::set_permissions(folder.join("tmp"), fs::Permissions::from_mode(0o1777))?;
        Ok(Self { folder })
    }

    /// Where an absolute path of the machine is within the image.
    fn inside(&self, path: &Path) -> PathBuf {
        self.folder.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Copies a file or folder, with what its links point to, leaving out what the patterns match.
    fn copy(&self, from: &Path, to: &Path, without: &[&str]) -> Result<()> {
        fs::create_dir_all(to)?;
        let (parent, what) = match from.is_dir() {
            true => (from, ".".as_ref()),
            false => (
                from.parent().context("a file has a folder")?,
                from.file_name().context("a file has a name")?,
            ),
        };
        let mut pack = Command::new("tar");
        pack.args(["--create", "--dereference", "--ignore-failed-read"])
            .args(without.iter().map(|pattern| format!("--exclude={pattern}")))
            .arg("--directory")
            .arg(parent)
            .arg(what)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut packing = pack.spawn().context("tar")?;
        let packed = packing.stdout.take().context("tar has an output")?;
        run(Command::new("tar")
            .args(["--extract", "--directory"])
            .arg(to)
            .stdin(packed))?;
        // Dangling links are not worth failing for.
        packing.wait()?;
        Ok(())
    }

    fn link(&self, name: &str, target: &Path) -> Result<()> {
        symlink(target, self.folder.join("usr/local/bin").join(name))?;
        Ok(())
    }

    fn add_boot(&self, sdk: Sdk) -> Result<()> {
        run(Command::new("go")
            .args(["build", "-mod=mod", "-o"])
            .arg(self.folder.join(BOOT))
            .arg(sdk.module())
            .env("CGO_ENABLED", "0")
            .current_dir(copy_of_module()?))
    }

    /// What resolving names and trusting certificates needs.
    fn add_system(&self) -> Result<()> {
        fs::write(
            self.folder.join("etc/passwd"),
            "root:x:0:0:root:/root:/bin/sh\n",
        )?;
        fs::write(self.folder.join("etc/group"), "root:x:0:\n")?;
        fs::write(self.folder.join("etc/nsswitch.conf"), "hosts: files dns\n")?;
        let certificates = Path::new("/etc/ssl/certs");
        if certificates.is_dir() {
            self.copy(certificates, &self.inside(certificates), &[])?;
        }
        Ok(())
    }

    fn add_python(&self, python: &Path) -> Result<()> {
        const SHOW: &str = "import os, sys, sysconfig; base = sys.base_prefix; \
            print(os.path.realpath(sys._base_executable)); print(base); \
            print(sysconfig.get_path('stdlib')); print(sysconfig.get_path('purelib'))";
        let shown = output(Command::new(python).args(["-E", "-c", SHOW]))?;
        let [executable, prefix, library, packages] =
            shown.lines().map(Path::new).collect::<Vec<_>>()[..]
        else {
            bail!("{} does not tell where it is installed", python.display());
        };
        anyhow::ensure!(
            packages.join("apache_beam").is_dir(),
            "{} has no apache-beam",
            python.display()
        );
        let without = ["site-packages", "__pycache__", "test", "tests"];
        self.copy(library, &self.inside(library), &without)?;
        let site = self.inside(library).join("site-packages");
        self.copy(packages, &site, &["__pycache__"])?;
        let binaries = executable.parent().context("an executable has a folder")?;
        self.copy(executable, &self.inside(binaries), &[])?;
        for shared in fs::read_dir(prefix.join("lib"))?.flatten() {
            if shared.file_name().to_string_lossy().contains(".so") {
                self.copy(&shared.path(), &self.inside(&prefix.join("lib")), &[])?;
            }
        }
        self.link("python", executable)?;
        self.link("python3", executable)
    }

    fn add_java(&self) -> Result<()> {
        let java = output(Command::new("sh").args(["-c", "readlink -f \"$(command -v java)\""]))?;
        let home = Path::new(java.trim())
            .ancestors()
            .nth(2)
            .context("java is in the bin folder of its home")?;
        self.copy(home, &self.inside(home), &["src.zip", "jmods", "man"])?;
        self.link("java", &home.join("bin/java"))?;
        let list = workspace::root().join("examples/java/target/classpath.txt");
        let jars = fs::read_to_string(&list)
            .with_context(|| format!("{}: build the Java example first", list.display()))?;
        // The boot program expects these without versions.
        let brought = ["beam-sdks-java-harness", "jamm", "slf4j-api", "slf4j-jdk14"];
        for name in brought {
            let jar = std::env::split_paths(jars.trim())
                .find(|jar| {
                    let file = jar.file_name().unwrap_or_default().to_string_lossy();
                    file.strip_prefix(name)
                        .is_some_and(|rest| rest.starts_with("-") && !rest.contains("sources"))
                })
                .with_context(|| format!("{name} is not on the Java example's class path"))?;
            fs::copy(&jar, self.folder.join(JARS).join(format!("{name}.jar")))?;
        }
        for bridge in BRIDGES {
            run(Command::new("mvn")
                .args(["--quiet", "--batch-mode", COPY, "-Dmdep.stripVersion=true"])
                .arg(format!("-Dartifact={bridge}"))
                .arg(format!(
                    "-DoutputDirectory={}",
                    self.folder.join(JARS).display()
                )))?;
        }
        self.add_java_options()
    }

    /// What Beam's images have the boot program add to every worker's options.
    fn add_java_options(&self) -> Result<()> {
        let security = Path::new("/").join(OPTIONS).join("java.security");
        fs::write(self.inside(&security), SECURITY)?;
        let option = serde_json::json!({
            "name": "java-security",
            "enabled": true,
            "options": { "properties": { "java.security.properties": security } },
        });
        let file = self.folder.join(OPTIONS).join("option-java-security.json");
        Ok(fs::write(file, option.to_string())?)
    }

    /// Adds the shared libraries that the image's own files need.
    fn add_libraries(&self) -> Result<()> {
        // The C library in any case: a Go worker binary may have been linked to it.
        let mut needed = BTreeSet::from_iter(libraries(Path::new("/bin/sh"))?);
        for entry in walkdir::WalkDir::new(&self.folder) {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy();
            let binary = entry.file_type().is_file()
                && (name.contains(".so") || entry.metadata()?.permissions().mode() & 0o111 != 0);
            if binary {
                needed.extend(libraries(entry.path())?);
            }
        }
        // Loaded at run time by the C library, to resolve names.
        needed.extend(
            ["libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"]
                .iter()
                .filter_map(|name| {
                    let libc = needed.iter().find(|path| path.ends_with("libc.so.6"))?;
                    let library = libc.with_file_name(name);
                    library.is_file().then_some(library)
                })
                .collect::<Vec<_>>(),
        );
        for library in needed
            .iter()
            .filter(|library| !library.starts_with(&self.folder))
        {
            let folder = library.parent().context("a library has a folder")?;
            self.copy(library, &self.inside(folder), &[])?;
        }
        Ok(())
    }

    fn import(&self, image: &str) -> Result<()> {
        let mut packing = Command::new("tar")
            .args(["--create", "--owner=0", "--group=0", "--directory"])
            .arg(&self.folder)
            .arg(".")
            .stdout(Stdio::piped())
            .spawn()
            .context("tar")?;
        let packed = packing.stdout.take().context("tar has an output")?;
        run(Command::new("docker")
            .args(["import", "--change", "ENV PATH=/usr/local/bin"])
            .args(["--change", &format!("ENTRYPOINT [\"/{BOOT}\"]")])
            .args(["-", image])
            .stdin(packed))?;
        anyhow::ensure!(packing.wait()?.success(), "tar failed");
        Ok(())
    }
}

/// The shared libraries that a binary needs, as the machine's linker finds them. None for what is
/// not a dynamic binary.
fn libraries(binary: &Path) -> Result<Vec<PathBuf>> {
    let listed = Command::new("ldd").arg(binary).output().context("ldd")?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let paths = listed
        .split_whitespace()
        .filter(|word| word.starts_with('/') && !word.ends_with(':'))
        .map(PathBuf::from)
        .filter(|path| path.is_file());
    Ok(paths.collect())
}

/// Building writes to `go.sum`; the example's own stays as it is.
fn copy_of_module() -> Result<PathBuf> {
    let folder = workspace::target()?.join("sdk-images").join("module");
    fs::create_dir_all(&folder)?;
    for name in ["go.mod", "go.sum"] {
        fs::copy(
            workspace::root().join(GO_MODULE).join(name),
            folder.join(name),
        )?;
    }
    Ok(folder)
}

fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("{:?}", command.get_program()))?;
    anyhow::ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}

fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{:?}", command.get_program()))?;
    anyhow::ensure!(output.status.success(), "{command:?}: {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}
