//! A real Apache Kafka, one KRaft node: fetched by Maven coordinates into a cache outside the tree, started on free
//! ports, stopped with the tests. `RICHTER_KAFKA=host:port` uses a running one instead.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

const VERSION: &str = "4.4.0";

const POM: &str = r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>richter</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>VERSION</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
"#;

/// A broker of our own; it ends with this value, or with the process that holds it.
pub(crate) struct Broker {
    pub(crate) address: String,
    folder: PathBuf,
    /// The wrapper; it kills the broker when its standard input closes.
    process: Option<Child>,
}

/// The broker that tests share.
pub(crate) fn shared() -> &'static str {
    static SHARED: OnceLock<(String, Option<Broker>)> = OnceLock::new();
    let (address, _) = SHARED.get_or_init(|| match std::env::var("RICHTER_KAFKA") {
        Ok(address) => (address, None),
        Err(_) => {
            let mut broker = Broker::prepared("shared");
            broker.start();
            (broker.address.clone(), Some(broker))
        }
    });
    address
}

impl Broker {
    /// A formatted broker with ports of its own, not started.
    pub(crate) fn prepared(name: &str) -> Self {
        Self::with(name, &[], "", &[])
    }

    /// One with more listeners (protocol, address) and properties, formatted with more arguments.
    pub(crate) fn with(name: &str, listeners: &[(&str, &str)], more: &str, format: &[&str]) -> Self {
        Self::node(name, (1, &[free_port()]), listeners, more, format)
    }

    /// Three that run, each with a replica of everything: the least that outlives one of them.
    pub(crate) fn three(name: &str) -> Vec<Self> {
        let controllers = [free_port(), free_port(), free_port()];
        let more = "default.replication.factor=3\nmin.insync.replicas=2\ntransaction.state.log.num.partitions=8\n";
        let node = |id| Self::node(&format!("{name}-{id}"), (id, &controllers), &[], more, &[]);
        let mut brokers: Vec<Self> = (1..=3).map(node).collect();
        brokers.iter_mut().for_each(Self::spawn);
        brokers.iter().for_each(Self::wait);
        brokers
    }

    /// One of the nodes whose controllers have these ports.
    fn node(name: &str, (id, controllers): (usize, &[u16]), listeners: &[(&str, &str)], more: &str, format: &[&str]) -> Self {
        let (port, controller, count) = (free_port(), controllers[id - 1], controllers.len());
        let voters: Vec<String> = (1..).zip(controllers).map(|(id, port)| format!("{id}@127.0.0.1:{port}")).collect();
        let voters = voters.join(",");
        let folder = scratch(&format!("kafka-{name}-{port}"));
        let address = format!("127.0.0.1:{port}");
        let listening: String = listeners.iter().map(|(protocol, address)| format!(",{protocol}://{address}")).collect();
        let protocols: String = listeners.iter().map(|(protocol, _)| format!(",{protocol}:{protocol}")).collect();
        let properties = format!(
            "process.roles=broker,controller\nnode.id={id}\ncontroller.quorum.voters={voters}\n\
             listeners=PLAINTEXT://{address},CONTROLLER://127.0.0.1:{controller}{listening}\n\
             advertised.listeners=PLAINTEXT://{address}{listening}\n\
             controller.listener.names=CONTROLLER\nlistener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT{protocols}\n\
             log.dirs={}/data\noffsets.topic.replication.factor={count}\noffsets.topic.num.partitions=4\n\
             transaction.state.log.replication.factor={count}\ntransaction.state.log.min.isr={}\nshare.coordinator.state.topic.replication.factor=1\n\
             group.initial.rebalance.delay.ms=0\nauto.create.topics.enable=false\nlog.retention.ms=-1\n{more}",
            folder.display(),
            count.min(2)
        );
        fs::write(folder.join("server.properties"), properties).expect("written");
        let tool = ["kafka.tools.StorageTool", "format", "-t", "4L6g3nShT-eMCtK--X86sw", "-c"];
        let output = java(&folder).args(tool).arg(folder.join("server.properties")).args(format).output().expect("java starts");
        assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Self { address, folder, process: None }
    }

    /// Starts it and waits until it answers.
    pub(crate) fn start(&mut self) {
        self.spawn();
        self.wait();
    }

    fn spawn(&mut self) {
        let log = fs::File::create(self.folder.join("kafka.log")).expect("a log");
        let script = "\"$@\" & echo $! > broker.pid; cat > /dev/null; kill -9 $! 2> /dev/null";
        let java = java(&self.folder);
        let mut wrapper = Command::new("sh");
        wrapper.args(["-c", script, "sh"]).arg(java.get_program()).args(java.get_args());
        wrapper.args(["-Xmx512m", "kafka.Kafka"]).arg(self.folder.join("server.properties"));
        wrapper.current_dir(&self.folder).stdin(Stdio::piped()).stdout(log.try_clone().expect("a log")).stderr(log);
        self.process = Some(wrapper.spawn().expect("sh starts"));
    }

    fn wait(&self) {
        let until = Instant::now() + Duration::from_secs(60);
        while !answers(&self.address) {
            assert!(Instant::now() < until, "the broker does not answer; see {}/kafka.log", self.folder.display());
        }
    }

    /// Stops it as its service manager would.
    pub(crate) fn stop(&mut self) {
        self.signal("-TERM");
        let until = Instant::now() + Duration::from_secs(30);
        while self.signals("-0") && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(50));
        }
        self.kill();
    }

    /// Sends it a signal: `-STOP` makes it a broker, and a coordinator, that is there and does not answer.
    pub(crate) fn signal(&self, signal: &str) {
        assert!(self.signals(signal), "the broker takes signals");
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        let pid = fs::read_to_string(self.folder.join("broker.pid")).expect("a pid");
        pid.trim().parse().expect("a number")
    }

    fn signals(&self, signal: &str) -> bool {
        let status = Command::new("kill").args([signal, &self.pid().to_string()]).stderr(Stdio::null()).status();
        status.expect("kill starts").success()
    }

    /// Kills it, as a power cut would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.stdin.take());
            process.wait().expect("it ends");
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

fn answers(address: &str) -> bool {
    let client: Result<BaseConsumer, _> = ClientConfig::new().set("bootstrap.servers", address).create();
    client.is_ok_and(|client| client.fetch_metadata(None, Duration::from_millis(500)).is_ok_and(|m| !m.brokers().is_empty()))
}

/// A fresh folder of that name.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::remove_dir_all(&folder).ok();
    std::fs::create_dir_all(&folder).expect("made");
    folder
}

/// A port that nobody listens on, given to one caller only: what asks for it opens it seconds later. Below the ports
/// that systems give to outgoing connections, or one of those could take it until then.
pub(crate) fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    const PORTS: std::ops::Range<u16> = 20_000..32_000;
    // Another run of the tests at the same time begins elsewhere.
    let first = (std::process::id() * 61 % u32::from(PORTS.end - PORTS.start)) as u16;
    let next = || PORTS.start + (first + GIVEN.fetch_add(1, Ordering::Relaxed)) % (PORTS.end - PORTS.start);
    let mut ports = std::iter::repeat_with(next).take(PORTS.len());
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}

fn java(folder: &Path) -> Command {
    let mut java = Command::new("java");
    java.args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp"]).arg(format!("{}/*", jars().display())).current_dir(folder);
    java
}

/// The folder with Kafka's jars; fetched once.
fn jars() -> &'static Path {
    static JARS: OnceLock<PathBuf> = OnceLock::new();
    JARS.get_or_init(|| {
        let home = || std::env::var("HOME").map(|home| format!("{home}/.cache"));
        let cache = std::env::var("XDG_CACHE_HOME").or_else(|_| home()).unwrap_or_else(|_| "/tmp".into());
        let folder = PathBuf::from(cache).join("richter").join(format!("kafka-{VERSION}"));
        if !folder.join("complete").exists() {
            fetch(&folder);
        }
        folder.join("jars")
    })
}

fn fetch(folder: &Path) {
    fs::create_dir_all(folder).expect("a cache folder");
    fs::write(folder.join("pom.xml"), POM.replace("VERSION", VERSION)).expect("written");
    let mut maven = Command::new("mvn");
    maven.args(["-B", "-q", "-f"]).arg(folder.join("pom.xml")).arg("dependency:copy-dependencies");
    maven.arg(format!("-DoutputDirectory={}", folder.join("jars").display()));
    let output = maven.output().expect("mvn starts; the Kafka tests need Maven and Java 17: apt-get install maven openjdk-17-jre-headless");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "Kafka {VERSION} could not be fetched:\n{told}");
    fs::File::create(folder.join("complete")).and_then(|mut f| f.write_all(b"yes\n")).expect("written");
}
