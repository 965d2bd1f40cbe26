//! Java: a class path of the staged jars, and the harness in front of it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::super::output::OutputStream;
use super::super::{PoolError, WorkerSpec, boot};
use super::identify::Sdk;
use super::jars::{HARNESS, JAMM, Places, is_staged};
use super::tools::find_program;
use super::{Job, Prepared, Runtime};

/// As Beam's images have it.
pub(super) const COLLECTOR: &str = "-XX:+UseParallelGC";

const HARNESS_CLASS: &str = "org.apache.beam.fn.harness.FnHarness";

/// A longer class path goes into a file: one argument is limited to 128 KiB.
const ARGUMENT_LIMIT_BYTES: usize = 100 << 10;

/// The classes that Beam lets Avro deserialize unless the pipeline says otherwise.
const AVRO_CLASSES: &str = "java.math.BigDecimal,java.math.BigInteger,java.net.URI,java.net.URL,java.io.File,java.lang.Integer";

/// Beam's images offer TLS 1.0 and 1.1 as a last resort, where Java does no longer: old databases speak nothing else. The
/// rest is what Java itself has switched off.
const SECURITY: &str = "\
jdk.tls.disabledAlgorithms=SSLv3, RC4, DES, MD5withRSA, DH keySize < 1024, EC keySize < 224, 3DES_EDE_CBC, anon, NULL
jdk.tls.legacyAlgorithms=TLSv1, TLSv1.1
securerandom.source=file:/dev/./urandom
";

pub(crate) struct Java {
    pub(crate) sdk: Sdk,
}

#[async_trait]
impl Runtime for Java {
    async fn prepare(&self, job: &Job<'_>) -> Result<Prepared, PoolError> {
        let program = launcher(job.context.java.as_deref())?;
        let (mut class_path, mut jamm) = self.class_path(job).await?;
        let mut arguments: Vec<OsString> =
            vec![COLLECTOR.into(), "-XX:-OmitStackTraceInFastThrow".into()];
        let shared = match &job.context.java_classes {
            Some(classes) => classes.share(&program, &class_path, job.staged).await,
            None => None,
        };
        let lease = shared.map(|shared| {
            arguments.push(shared.argument);
            let place = class_path.iter().position(|jar| Some(jar) == jamm.as_ref());
            if let Some(jar) = place.and_then(|place| shared.class_path.get(place)) {
                jamm = Some(jar.clone());
            }
            class_path = shared.class_path;
            shared.lease
        });
        if let (Some(jamm), false) = (jamm, has_experiment(job.spec, "disable_jamm_agent")) {
            let mut agent = OsString::from("-javaagent:");
            agent.push(jamm);
            arguments.push(agent);
        }
        arguments.push(security_argument(job.folder).await?);
        arguments.extend(option_arguments(job.spec).into_iter().map(Into::into));
        arguments.extend(class_path_arguments(job.folder, &class_path).await?);
        arguments.push(HARNESS_CLASS.into());
        Ok(Prepared {
            program,
            arguments,
            variables: Vec::new(),
            python: None,
            java: lease,
        })
    }

    fn worker_arguments(&self, _: &WorkerSpec) -> Vec<OsString> {
        Vec::new()
    }

    fn worker_variables(&self, spec: &WorkerSpec) -> Vec<(String, String)> {
        let mut variables = boot::harness_variables(&spec.endpoint, &spec.provision);
        variables.push(("HARNESS_ID".to_owned(), spec.worker_id.clone()));
        variables
    }
}

impl Java {
    /// The harness, what was staged, and what was found beside the harness. Also returns jamm, with
    /// which the harness measures objects and which images bring outside of the class path.
    async fn class_path(
        &self,
        job: &Job<'_>,
    ) -> Result<(Vec<PathBuf>, Option<PathBuf>), PoolError> {
        let version = self.sdk.beam_version.as_deref();
        let places = Places::new(job.context.java_harness.as_deref());
        let mut class_path: Vec<PathBuf> = Vec::new();
        let mut beside = Vec::new();
        if !is_staged(&HARNESS, job.staged).await? {
            let (harness, others) = places.harness(version)?;
            class_path.push(harness);
            beside = others;
        }
        class_path.extend(job.staged.iter().map(|artifact| artifact.path.clone()));
        class_path.extend(beside);
        let mut jamm = class_path.iter().find(|jar| JAMM.is_named(jar)).cloned();
        if jamm.is_none() && !is_staged(&JAMM, job.staged).await? {
            jamm = places.jamm();
            class_path.extend(jamm.clone());
            if jamm.is_none() {
                job.spec.log.line(
                    &job.spec.worker_id,
                    OutputStream::Stderr,
                    "jamm (com.github.jbellis:jamm) is neither staged nor found here; recent Java harnesses do not start without it",
                );
            }
        }
        Ok((class_path, jamm))
    }
}

fn has_experiment(spec: &WorkerSpec, experiment: &str) -> bool {
    boot::has_experiment(&spec.provision, experiment)
}

/// What the pipeline's options ask of the virtual machine.
fn option_arguments(spec: &WorkerSpec) -> Vec<String> {
    let info = &spec.provision;
    let opens = boot::string_list(info, "jdkAddOpenModules");
    let roots = boot::string_list(info, "jdkAddRootModules");
    let classes = match boot::option(info, "avroSerializableClasses") {
        None => AVRO_CLASSES.to_owned(),
        Some(_) => boot::string_list(info, "avroSerializableClasses").join(","),
    };
    let opens = opens.iter().map(|module| format!("--add-opens={module}"));
    let roots = roots.iter().map(|module| format!("--add-modules={module}"));
    let classes =
        (!classes.is_empty()).then(|| format!("-Dorg.apache.avro.SERIALIZABLE_CLASSES={classes}"));
    opens.chain(roots).chain(classes).collect()
}

fn launcher(configured: Option<&Path>) -> Result<PathBuf, PoolError> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let candidate = configured
        .map(Path::to_owned)
        .or_else(|| variable("DATAFLUME_JAVA").map(PathBuf::from))
        .or_else(|| variable("JAVA_HOME").map(|home| Path::new(&home).join("bin").join("java")))
        .unwrap_or_else(|| "java".into());
    find_program(&candidate).ok_or_else(|| PoolError::MissingTool {
        what: "Java".to_owned(),
        reason: format!(
            "{} is not an executable. Install a JDK, or set DATAFLUME_JAVA or JAVA_HOME",
            candidate.display()
        ),
    })
}

async fn security_argument(folder: &Path) -> Result<OsString, PoolError> {
    let file = folder.join("java.security");
    tokio::fs::write(&file, SECURITY)
        .await
        .map_err(PoolError::io(&file))?;
    let mut argument = OsString::from("-Djava.security.properties=");
    argument.push(file);
    Ok(argument)
}

pub(super) async fn class_path_arguments(
    folder: &Path,
    class_path: &[PathBuf],
) -> Result<Vec<OsString>, PoolError> {
    let joined = std::env::join_paths(class_path).map_err(|error| PoolError::Artifact {
        name: "class path".to_owned(),
        reason: error.to_string(),
    })?;
    if joined.len() <= ARGUMENT_LIMIT_BYTES {
        return Ok(vec!["-cp".into(), joined]);
    }
    let file = folder.join("class_path");
    let quoted = joined
        .to_string_lossy()
        .replace('\\', "\\\\")
        .replace('"', "\\\"");
    tokio::fs::write(&file, format!("-cp \"{quoted}\"\n"))
        .await
        .map_err(PoolError::io(&file))?;
    let mut argument = OsString::from("@");
    argument.push(file);
    Ok(vec![argument])
}
